// A plug-in from another build, as a site finds it after half an upgrade.
extern "C" __attribute__((visibility("default"))) const char* concordat_cuda_contract();
extern "C" __attribute__((visibility("default"))) void* concordat_cuda_make_backend();

const char* concordat_cuda_contract() { return "concordat 0.0.1, of long ago"; }
void* concordat_cuda_make_backend() { __builtin_trap(); }

#%Module1.0
## Environment Modules: installed as share/modulefiles/concordat/VERSION; finds the program relative
## to itself.
##
## Run:    by Environment Modules 5.2.0 of Debian 12: avail, load, help.
## Linted: by tests/house/packaging.py.
##
##   module use PREFIX/share/modulefiles && module load concordat

set prefix [file normalize [file join [file dirname $ModulesCurrentModulefile] .. .. ..]]

proc ModulesHelp {} {
    puts stderr "Concordat: sovereign HPC sites train one language model together; their data never"
    puts stderr "leaves them. concordat --help lists the commands; concordat doctor SITE.toml checks"
    puts stderr "this machine and a site."
}
module-whatis "concordat: sovereign federated training of language models over MPI"
conflict concordat

# The libraries that it was built with, under this centre's names:
# module load openmpi/4.1 hdf5/1.10 onednn/2.6

prepend-path PATH [file join $prefix bin]

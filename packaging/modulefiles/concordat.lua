-- Lmod: installed as share/modulefiles/concordat/VERSION.lua; finds the program relative to itself.
--
-- Run:    by Lmod 8.6.19 of Debian 12: avail, load, help, whatis.
-- Linted: by tests/house/packaging.py.
--
--   module use PREFIX/share/modulefiles && module load concordat

local prefix = myFileName():gsub("/share/modulefiles/concordat/[^/]*$", "")

help([[
Concordat: sovereign HPC sites train one language model together; their data never leaves them.
concordat --help lists the commands; concordat doctor SITE.toml checks this machine and a site.
]])
whatis("Name: concordat")
whatis("Version: " .. myModuleVersion())
whatis("Description: sovereign federated training of language models over MPI")
family("concordat")

-- The libraries that it was built with, under this centre's names:
-- depends_on("openmpi/4.1", "hdf5/1.10", "onednn/2.6")

prepend_path("PATH", pathJoin(prefix, "bin"))

"""What a machine with a GPU and without a network is given, and what it measures: `make gpu-loads`.

loads      packs TensorFlow, the project and the data into loads of at most 64 MiB
there.sh   unpacks the last load there, and measures
rehearsal  does all of it on this machine, in an empty folder
"""

"""What array files say of themselves, read without numpy: npy, netCDF-3; and HDF5 by its size."""

// A peer of the benchmarks: a program that does nothing. Compiled as the executable is, it shows what
// of an ADD the runtime needs for itself.
process.exit(0);

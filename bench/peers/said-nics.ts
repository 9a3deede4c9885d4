// A peer of the benchmarks: a CNI plugin that answers ADD with eight NICs and makes none. Compiled as
// the executable is, it shows what a pod's start needs for such an answer, whoever gives it.
if (process.env.CNI_COMMAND === 'ADD') {
  const indices = Array.from({ length: 8 }, (_, index) => index);
  const result = {
    cniVersion: '1.0.0',
    interfaces: indices.map((index) => ({
      name: `net1-${index}`,
      mac: `02:00:00:00:00:0${index}`,
      sandbox: process.env.CNI_NETNS,
    })),
    ips: indices.map((index) => ({ address: `10.80.${index}.7/24`, interface: index })),
  };
  process.stdout.write(JSON.stringify(result));
}
process.exit(0);

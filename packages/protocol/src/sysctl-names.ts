// Names of the kernel's variables that belong to a container's own network and IPC namespaces; the others are its host's.

/** sysctl(8): dots between the parts, or slashes, of which then a part may have a dot in it (`net/ipv4/conf/eth0.5/forwarding`). */
export const sysctlPattern =
  '^(net[./][A-Za-z0-9_./-]{1,200}|fs[./]mqueue[./][a-z_]{1,64}|kernel[./](shmmax|shmall|shmmni|shm_rmid_forced|msgmax|msgmnb|msgmni|sem|auto_msgmni|domainname))$'

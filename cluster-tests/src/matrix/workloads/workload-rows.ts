// The workload rows, in the order of the table.

import type { Row } from '../row.ts'
import { runtimes } from './runtimes.ts'
import { nginx, postgresql, redis } from './services.ts'
import { build, tmux } from './shells.ts'
import { busyboxInit, systemd } from './systems.ts'
import type { Workload } from './workload.ts'

const workloads: Workload[] = [busyboxInit, systemd, nginx, postgresql, redis, ...runtimes, tmux, build]

export const workloadRows = (): Row[] => workloads.map(({ row }) => row)

export const workloadOf = (row: Row): Workload | undefined => workloads.find((workload) => workload.row === row)

// The sections of a container's spec that `drover set` changes and profiles give, each as it counts when nothing was said of it.

import { type ContainerSpec, defaultAutostart } from '@drover/protocol'

export const noRestart = { policy: 'no', most: 0 } as const
export const usualStop = { signal: null } as const

type Section =
  | 'requests'
  | 'limits'
  | 'restart'
  | 'autostart'
  | 'stop'
  | 'snapshots'
  | 'devices'
  | 'security'
  | 'sysctls'
  | 'rlimits'
  | 'lifecycle'

export type Settings = Required<Pick<ContainerSpec, Section>>

export const settingsOf = (spec: ContainerSpec): Settings => ({
  requests: spec.requests,
  limits: spec.limits ?? {},
  restart: spec.restart ?? noRestart,
  autostart: spec.autostart ?? defaultAutostart,
  stop: spec.stop ?? usualStop,
  snapshots: spec.snapshots ?? {},
  devices: spec.devices ?? {},
  security: spec.security ?? {},
  sysctls: spec.sysctls ?? {},
  rlimits: spec.rlimits ?? {},
  lifecycle: spec.lifecycle ?? {},
})

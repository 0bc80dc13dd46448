// What the chapters of the tour share: the laboratory, a client, the voice, and the figures that they gather.

import type { DroverClient } from '@drover/client'
import type { Container } from '@drover/protocol'
import type { Lab } from '@drover/testkit/lab'
import type { Narrator } from './narrator.ts'
import type { TourOptions } from './options.ts'

export interface TourFigures {
  engine: string
  hosts: number
  containers: number
  start_seconds: number
  launch_seconds: number
  blackout_client_ms: number | null
  phases: Record<string, number>
  leader_killed: { phase: string; outcome: string; seconds: number; blackout_client_ms: number | null } | null
  evacuation: {
    containers: number
    seconds: number
    blackout_ms_median: number | null
    blackout_ms_max: number | null
    restarts: number
    lost: number
  } | null
  /** Resident bytes, median over the hosts: with no container, and at the end. */
  rss: { idle: Record<string, number>; full: Record<string, number> }
  engine_bytes_per_container: number
  checks: { passed: number; failed: number }
}

export interface TourContext {
  lab: Lab
  client: DroverClient
  narrator: Narrator
  options: TourOptions
  figures: TourFigures
  /** The container that is moved; set by the launch. */
  traveller: string
  /** The host on which the containers were packed; set by the launch. */
  home: string
}

export const containersOn = (containers: Container[], host: string): Container[] =>
  containers.filter((container) => container.host === host)

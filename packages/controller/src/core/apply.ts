// The state machine: (state, index, entry) → changed state, the changes for the disk, events for the users, and the outcome
// for the proposer. Deterministic: nothing but the arguments counts. A refusal is an outcome like any other and changes
// nothing but the index.

import { type ClusterEvent, DroverError, type ErrorBody } from '@drover/protocol'
import { applyContainerImported, applyExportRequested } from './apply-archives.ts'
import { applyContainerDeleted, applyContainerObserved } from './apply-containers.ts'
import { applyContainerCopied } from './apply-copy.ts'
import { applyCopyRefreshed } from './apply-copy-refresh.ts'
import { applyEvacuationPlanned, applyEvacuationStarted } from './apply-evacuation.ts'
import { applyContainerHealed, applyHostLost } from './apply-healing.ts'
import { applyHostRemoved, applyHostTokenMade, applyHostTokenRevoked, applyHostTokenUsed } from './apply-host-join.ts'
import { applyHostCordonRequested, applyHostObserved, applyHostSilenceChanged } from './apply-hosts.ts'
import {
  applyImageBuildStarted,
  applyImageChanged,
  applyImageMakingStarted,
  applyImageRegistered,
} from './apply-images.ts'
import { applyContainerLaunched } from './apply-launch.ts'
import { applyMachinesAsked } from './apply-machines.ts'
import {
  applyMigrationAborted,
  applyMigrationAdvanced,
  applyMigrationCommitted,
  applyMoveStarted,
} from './apply-migration.ts'
import { applyCancelRequested, applyOperationAdvanced, applyOperationEnded } from './apply-operations.ts'
import { applyPowerRequested } from './apply-power.ts'
import { applyContainerResumed, applyPreemptionRequested } from './apply-preemption.ts'
import { applyProfileChanged, applyProfilesReached } from './apply-profiles.ts'
import { applyRebalancePlanned } from './apply-rebalance.ts'
import { applyRebuildRequested } from './apply-rebuild.ts'
import { applyContainerRenamed } from './apply-rename.ts'
import { applyRoomPlanned } from './apply-room.ts'
import { applyHostSet, applyPolicyChanged } from './apply-scheduling.ts'
import { applySetRequested } from './apply-set.ts'
import {
  applySnapshotDeleteRequested,
  applySnapshotRequested,
  applySnapshotRestored,
  applySnapshotRestoreRequested,
  applySnapshotsExpired,
  applySnapshotTaken,
} from './apply-snapshots.ts'
import { applyVolumeChanged } from './apply-volumes.ts'
import { Draft } from './draft.ts'
import type { Entry } from './entries.ts'
import type { Change, ClusterState } from './state.ts'

/** What `propose` resolves with: the operation or entity that the entry made, or why it was refused. */
export type Outcome = { ok: true; value: unknown } | { ok: false; error: ErrorBody }

export interface Applied {
  index: number
  changes: Change[]
  events: ClusterEvent[]
  outcome: Outcome
}

/** Changes `state` in place; its maps' values are replaced, never changed. */
export function apply(state: ClusterState, index: number, entry: Entry): Applied {
  const draft = new Draft(state, index, entry.atMs)
  const outcome = attempt(draft, entry)
  state.index = index
  return { index, changes: draft.changes, events: draft.events, outcome }
}

/** An entry that could not be decoded: refused by every replica, and the log goes on. */
export function applyUnknown(state: ClusterState, index: number, error: DroverError): Applied {
  state.index = index
  return { index, changes: [], events: [], outcome: { ok: false, error: error.toJSON() } }
}

function attempt(draft: Draft, entry: Entry): Outcome {
  try {
    return { ok: true, value: dispatch(draft, entry) }
  } catch (thrown) {
    if (!(thrown instanceof DroverError)) throw thrown
    return { ok: false, error: thrown.toJSON() }
  }
}

function dispatch(draft: Draft, entry: Entry): unknown {
  switch (entry.type) {
    case 'HostObserved':
      return applyHostObserved(draft, entry)
    case 'HostSilenceChanged':
      return applyHostSilenceChanged(draft, entry)
    case 'HostLost':
      return applyHostLost(draft, entry)
    case 'ContainerHealed':
      return applyContainerHealed(draft, entry)
    case 'HostCordonRequested':
      return applyHostCordonRequested(draft, entry)
    case 'HostSet':
      return applyHostSet(draft, entry)
    case 'PolicyChanged':
      return applyPolicyChanged(draft, entry)
    case 'ContainerLaunched':
      return applyContainerLaunched(draft, entry)
    case 'RoomPlanned':
      return applyRoomPlanned(draft, entry)
    case 'PowerRequested':
      return applyPowerRequested(draft, entry)
    case 'PreemptionRequested':
      return applyPreemptionRequested(draft, entry)
    case 'ContainerResumed':
      return applyContainerResumed(draft, entry)
    case 'SetRequested':
      return applySetRequested(draft, entry)
    case 'ContainerRenamed':
      return applyContainerRenamed(draft, entry)
    case 'SnapshotRequested':
      return applySnapshotRequested(draft, entry)
    case 'SnapshotTaken':
      return applySnapshotTaken(draft, entry)
    case 'SnapshotRestoreRequested':
      return applySnapshotRestoreRequested(draft, entry)
    case 'SnapshotRestored':
      return applySnapshotRestored(draft, entry)
    case 'SnapshotDeleteRequested':
      return applySnapshotDeleteRequested(draft, entry)
    case 'SnapshotsExpired':
      return applySnapshotsExpired(draft, entry)
    case 'ContainerCopied':
      return applyContainerCopied(draft, entry)
    case 'CopyRefreshed':
      return applyCopyRefreshed(draft, entry)
    case 'RebuildRequested':
      return applyRebuildRequested(draft, entry)
    case 'ExportRequested':
      return applyExportRequested(draft, entry)
    case 'ContainerImported':
      return applyContainerImported(draft, entry)
    case 'ContainerObserved':
      return applyContainerObserved(draft, entry)
    case 'ContainerDeleted':
      return applyContainerDeleted(draft, entry)
    case 'OperationAdvanced':
      return applyOperationAdvanced(draft, entry)
    case 'OperationEnded':
      return applyOperationEnded(draft, entry)
    case 'CancelRequested':
      return applyCancelRequested(draft, entry)
    case 'MoveStarted':
      return applyMoveStarted(draft, entry)
    case 'MigrationAdvanced':
      return applyMigrationAdvanced(draft, entry)
    case 'MigrationCommitted':
      return applyMigrationCommitted(draft, entry)
    case 'MigrationAborted':
      return applyMigrationAborted(draft, entry)
    case 'EvacuationStarted':
      return applyEvacuationStarted(draft, entry)
    case 'EvacuationPlanned':
      return applyEvacuationPlanned(draft, entry)
    case 'MachinesAsked':
      return applyMachinesAsked(draft, entry)
    case 'RebalancePlanned':
      return applyRebalancePlanned(draft, entry)
    case 'ImageBuildStarted':
      return applyImageBuildStarted(draft, entry)
    case 'ImageMakingStarted':
      return applyImageMakingStarted(draft, entry)
    case 'ImageChanged':
      return applyImageChanged(draft, entry)
    case 'ProfileChanged':
      return applyProfileChanged(draft, entry)
    case 'ProfilesReached':
      return applyProfilesReached(draft, entry)
    case 'VolumeChanged':
      return applyVolumeChanged(draft, entry)
    case 'ImageRegistered':
      return applyImageRegistered(draft, entry)
    case 'HostTokenMade':
      return applyHostTokenMade(draft, entry)
    case 'HostTokenRevoked':
      return applyHostTokenRevoked(draft, entry)
    case 'HostTokenUsed':
      return applyHostTokenUsed(draft, entry)
    case 'HostRemoved':
      return applyHostRemoved(draft, entry)
  }
}

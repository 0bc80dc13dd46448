// What an entry is about, so that the leader proposes about one thing one entry at a time.

import type { Entry } from '../core/entries.ts'

export function entryKey(entry: Entry): string {
  switch (entry.type) {
    case 'HostObserved':
      return `host ${entry.host.name}`
    case 'HostSilenceChanged':
      return `silence ${entry.host}`
    case 'HostLost':
      return `loss ${entry.host}`
    case 'ContainerObserved':
    case 'ContainerDeleted':
    case 'SnapshotsExpired':
    case 'ProfilesReached':
      return `container ${entry.container}`
    case 'HostTokenUsed':
      return `join ${entry.host}`
    case 'RebalancePlanned':
      return 'rebalance'
    default:
      return `operation ${entry.operation}`
  }
}

// Pure placement: (cluster snapshot, demand) → plan with its explanation.

export * from './snapshot.ts'

// Pure placement: (cluster snapshot, demand) → plan with its explanation.

export { describeAmount } from './explain.ts'
export { type Refusal, type RefusalName, refusalOf } from './feasible.ts'
export * from './place.ts'
export * from './place-all.ts'
export * from './snapshot.ts'

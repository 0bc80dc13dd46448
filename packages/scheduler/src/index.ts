// Pure placement: (cluster snapshot, demand) → plan with its explanation.

export * from './batch.ts'
export { describeAmount } from './explain.ts'
export { type Refusal, type RefusalName, refusalNames, refusalOf } from './feasible.ts'
export { type FillTables, fillTables, type MixEntry, mixOf } from './fill.ts'
export { MixWindow } from './mix-window.ts'
export { Model } from './model.ts'
export * from './moves/index.ts'
export * from './place.ts'
export * from './place-all.ts'
export { withoutPlaced, withPlaced } from './placed.ts'
export { type RepackMove, type RepackOptions, type RepackPlan, repack } from './repack.ts'
export * from './snapshot.ts'

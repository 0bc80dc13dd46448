// What others may use of the agent: the agent itself (for tests that run one in their process) the parts that build images, and where fault
// tests may hold it.

export * from './agent.ts'
export { type FaultPoint, faultPoints } from './fault-points.ts'
export * from './images/image-store.ts'
export * from './images/image-tasks.ts'
export { packLayer, unpackInto } from './images/layer.ts'
export { fillDebian } from './images/recipe-debian.ts'

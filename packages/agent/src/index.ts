// What others may use of the agent: the agent itself (for tests that run one in their process) and the parts that build images.

export * from './agent.ts'
export * from './images/image-store.ts'
export * from './images/image-tasks.ts'
export { packLayer } from './images/layer.ts'
export { fillDebian } from './images/recipe-debian.ts'

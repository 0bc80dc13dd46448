// What tests and tools use of the controller.

export { type Controller, type ControllerOptions, startController } from './shell/controller.ts'
export { ClusterStateMachine } from './shell/state-machine.ts'

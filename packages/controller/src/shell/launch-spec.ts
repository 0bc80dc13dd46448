// The spec that a launch or an import asks for, or why it can't be meant.

import {
  type ContainerSpec,
  contradiction,
  DroverError,
  defaultAutostart,
  defaultImageName,
  defaultRequests,
  firstBootPlanProblem,
  firstBootSyntaxProblem,
  type Image,
  kernelSettingsProblem,
  type LaunchRequest,
  type Resources,
  type SetRequest,
  usualMemoryLimitBytes,
} from '@drover/protocol'
import { usuallyLimited, withinLimits } from '../core/apply-set.ts'
import { type ClusterState, containerByName } from '../core/state.ts'

/** What a launch, or an import, makes of its request; or why it can't be meant. */
export function specOf(
  state: ClusterState,
  request: Omit<LaunchRequest, 'makeRoom' | 'profiles'>,
  doing: string,
  profiled: Pick<ContainerSpec, 'profiles' | 'own'> = {},
): ContainerSpec {
  const imageName = request.image ?? defaultImageName
  const image = state.tables.images.get(imageName)
  if (!image) {
    throw new DroverError('IMAGE_NOT_FOUND', `${doing} ${request.name}: there is no image ${imageName}`, {
      context: { image: imageName },
    })
  }
  const contradicts = contradiction(request.security ?? {})
  if (contradicts !== null) throw new DroverError('BAD_REQUEST', `${doing} ${request.name}: security: ${contradicts}`)
  const problem = bootProblem(request, image) ?? kernelSettingsProblem(request.sysctls, request.rlimits)
  if (problem !== null) throw new DroverError('BAD_REQUEST', `${doing} ${request.name}: ${problem}`)
  const requests = requestsOf(request)
  return {
    image: image.digest,
    imageName,
    requests,
    limits: usuallyLimited(request, request.limits ?? {}),
    ...(request.restart === undefined ? {} : { restart: request.restart }),
    ...(request.autostart === undefined ? {} : { autostart: { ...defaultAutostart, ...request.autostart } }),
    ...(request.stop === undefined ? {} : { stop: request.stop }),
    ...(request.snapshots === undefined ? {} : { snapshots: request.snapshots }),
    ...(request.firstBoot === undefined ? {} : { firstBoot: request.firstBoot }),
    ...(request.devices === undefined ? {} : { devices: request.devices }),
    ...(request.scheduling === undefined ? {} : { scheduling: request.scheduling }),
    ...(request.security === undefined ? {} : { security: request.security }),
    ...(request.sysctls === undefined ? {} : { sysctls: request.sysctls }),
    ...(request.rlimits === undefined ? {} : { rlimits: request.rlimits }),
    ...(request.lifecycle === undefined ? {} : { lifecycle: request.lifecycle }),
    ...profiled,
    init: image.init,
    environment: request.environment ?? {},
    labels: request.labels ?? {},
  }
}

/** Where nobody has said how much memory it asks for, no limit of its own means the usual one, and not what it is placed by. */
export function withUsualMemory(state: ClusterState, name: string, change: SetRequest): SetRequest {
  const asked = change.requests?.memoryBytes ?? containerByName(state, name)?.spec.requests.memoryBytes
  if (change.limits?.memoryBytes !== null || asked !== defaultRequests.memoryBytes) return change
  return { ...change, limits: { ...change.limits, memoryBytes: usualMemoryLimitBytes } }
}

/** An image without cloud-init is told a part of what cloud-init knows; of one whose host didn't say, its host finds out at the start. */
function bootProblem(
  { firstBoot = {}, name }: Pick<LaunchRequest, 'firstBoot' | 'name'>,
  { properties }: Image,
): string | null {
  return properties?.['cloud-init'] === 'no' ? firstBootPlanProblem(firstBoot, name) : firstBootSyntaxProblem(firstBoot)
}

/** What a launch asks for: what it says, else the default; nobody asks for more than its limit. */
export function requestsOf(request: Omit<LaunchRequest, 'name'>): Resources {
  const asked: Resources = {
    cpuMilli: request.cpuMilli ?? defaultRequests.cpuMilli,
    memoryBytes: request.memoryBytes ?? defaultRequests.memoryBytes,
    diskBytes: request.diskBytes ?? defaultRequests.diskBytes,
    pids: request.pids ?? defaultRequests.pids,
  }
  return withinLimits(asked, request.limits ?? {})
}

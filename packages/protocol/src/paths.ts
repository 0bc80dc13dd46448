// Paths and headers of the HTTP API.

export const apiVersion = 'v1'

/** Header by which a follower marks a request that it forwards, so that it is not forwarded twice. */
export const forwardedHeader = 'drover-forwarded-by'
export const idempotencyHeader = 'idempotency-key'

export const paths = {
  status: '/v1/status',
  hosts: '/v1/hosts',
  host: (name: string) => `/v1/hosts/${name}`,
  /** GET: all, without their secrets. */
  hostTokens: '/v1/host-tokens',
  /** POST: make one, DELETE: take it back. */
  hostToken: (name: string) => `/v1/host-tokens/${name}`,
  /** POST, at the controllers' port for new hosts, by the token alone. */
  join: '/v1/join',
  hostAction: (name: string, action: 'evacuate' | 'restore' | 'cordon' | 'uncordon' | 'set' | 'lost') =>
    `/v1/hosts/${name}/${action}`,
  policy: '/v1/policy',
  evacuationPlan: '/v1/evacuation-plan',
  explain: '/v1/explain',
  explainContainer: (name: string) => `/v1/containers/${name}/explain`,
  rebalance: '/v1/rebalance',
  rebalancePart: (part: 'plan' | 'apply' | 'history') => `/v1/rebalance/${part}`,
  containers: '/v1/containers',
  launches: '/v1/launches',
  container: (name: string) => `/v1/containers/${name}`,
  containerAction: (
    name: string,
    action: 'start' | 'stop' | 'restart' | 'freeze' | 'thaw' | 'move' | 'set' | 'rename' | 'rebuild',
  ) => `/v1/containers/${name}/${action}`,
  copy: (name: string) => `/v1/containers/${name}/copy`,
  snapshots: (name: string) => `/v1/containers/${name}/snapshots`,
  snapshot: (name: string, snapshot: string) => `/v1/containers/${name}/snapshots/${snapshot}`,
  snapshotRestore: (name: string, snapshot: string) => `/v1/containers/${name}/snapshots/${snapshot}/restore`,
  preflight: (name: string) => `/v1/containers/${name}/preflight`,
  logs: (name: string) => `/v1/containers/${name}/logs`,
  /** WebSocket; frames as in frames.ts, the first one an ExecRequest. */
  exec: (name: string) => `/v1/containers/${name}/exec`,
  /** POST: one question about its inside, the method's parameters as body (inside.ts). */
  inside: (name: string, method: string) => `/v1/containers/${name}/inside/${method}`,
  operations: '/v1/operations',
  operation: (id: string) => `/v1/operations/${id}`,
  cancel: (id: string) => `/v1/operations/${id}/cancel`,
  /** Server-sent events: `id: <log index>`, `data: <ClusterEvent>`; takes Last-Event-ID. */
  events: '/v1/events',
  volumes: '/v1/volumes',
  profiles: '/v1/profiles',
  /** GET, PUT: make it, DELETE. */
  volume: (name: string) => `/v1/volumes/${name}`,
  /** GET, PUT: make it, POST: change it, DELETE. */
  profile: (name: string) => `/v1/profiles/${name}`,
  images: '/v1/images',
  image: (name: string) => `/v1/images/${name}`,
  imageSet: (name: string) => `/v1/images/${name}/set`,
  imageImport: '/v1/image-imports',
  /** GET: the layer, a tar of the root file system whose SHA-256 is the image's digest; `?offset=` goes on from there. */
  imageContent: (name: string) => `/v1/images/${name}/content`,
  publish: (name: string) => `/v1/containers/${name}/publish`,
  uploads: '/v1/uploads',
  export: (name: string) => `/v1/containers/${name}/export`,
  containerImport: '/v1/container-imports',
  /** PUT with `?host=&offset=`, GET and DELETE with `?host=`. */
  upload: (id: string) => `/v1/uploads/${id}`,
  uploadContent: (id: string) => `/v1/uploads/${id}/content`,
  openapi: '/openapi.json',
} as const

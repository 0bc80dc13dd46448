// Refuses parameters that are missing, unknown or of the wrong kind, as the native engine does: before anything is changed.

import type { EngineMethod } from '@drover/engine'
import { DroverError, namePattern } from '@drover/protocol'

type Kind =
  | 'string'
  | 'integer'
  | 'name'
  | 'strings'
  | 'strings or null'
  | 'record'
  | 'object'
  | 'object?'
  | 'object or missing'
  | 'integer?'
  | 'integer or missing'
  | 'string?'
  | 'label or nothing'
  | 'path'
  | 'path or missing'
  | 'boolean'
  | 'boolean or missing'
  | 'list or missing'

const shapes: { [method in EngineMethod | 'simulate']: { [field: string]: Kind } } = {
  hello: { protocolVersion: 'integer' },
  create: { spec: 'object' },
  update: {
    container: 'name',
    epoch: 'integer',
    limits: 'object',
    devices: 'object or missing',
    name: 'label or nothing',
    security: 'object or missing',
    sysctls: 'object or missing',
    rlimits: 'object or missing',
  },
  start: { container: 'name', epoch: 'integer' },
  stop: { container: 'name', epoch: 'integer', timeoutMs: 'integer', signal: 'integer or missing' },
  kill: { container: 'name', epoch: 'integer', signal: 'integer' },
  freeze: { container: 'name', epoch: 'integer' },
  thaw: { container: 'name', epoch: 'integer' },
  replaceDisk: { container: 'name', epoch: 'integer', directory: 'path', uidBase: 'integer' },
  delete: { container: 'name', epoch: 'integer', keep: 'path or missing' },
  lease: { untilMs: 'integer', containers: 'object' },
  list: {},
  get: { container: 'name' },
  wait: { container: 'name', timeoutMs: 'integer' },
  logs: { container: 'name', offset: 'integer', limit: 'integer' },
  fileStat: { container: 'name', path: 'path', follow: 'boolean' },
  fileList: { container: 'name', path: 'path', after: 'string?' },
  fileRead: { container: 'name', path: 'path', offset: 'integer', limit: 'integer' },
  fileWrite: {
    container: 'name',
    path: 'path',
    offset: 'integer',
    dataBase64: 'string',
    truncate: 'boolean',
    mode: 'integer?',
    uid: 'integer?',
    gid: 'integer?',
  },
  fileMake: {
    container: 'name',
    path: 'path',
    type: 'string',
    target: 'string?',
    mode: 'integer?',
    uid: 'integer?',
    gid: 'integer?',
  },
  processes: { container: 'name' },
  preflight: { container: 'name' },
  usage: { container: 'name', fileSystems: 'boolean' },
  exec: {
    container: 'name',
    command: 'strings',
    environment: 'record',
    directory: 'string?',
    user: 'object?',
    terminal: 'object?',
  },
  copyMemory: { container: 'name', epoch: 'integer', directory: 'path', mostBytes: 'integer' },
  hashTree: {
    container: 'name',
    epoch: 'integer',
    changed: 'strings or null',
    mostBytes: 'integer',
    index: 'path or missing',
    details: 'path or missing',
    times: 'list or missing',
    pack: 'path or missing',
    unpack: 'path or missing',
    directory: 'path or missing',
  },
  checkpoint: { container: 'name', epoch: 'integer', directory: 'path' },
  checkpointImages: { container: 'name' },
  prepareRestore: {
    spec: 'object',
    startedAtMs: 'integer?',
    starts: 'integer',
    frozen: 'boolean or missing',
    memoryRoomBytes: 'integer or missing',
    directory: 'path or missing',
  },
  stageMemory: { container: 'name', epoch: 'integer', directory: 'path', part: 'integer', bytes: 'integer' },
  restore: { container: 'name', epoch: 'integer', directory: 'path' },
  release: { container: 'name', epoch: 'integer' },
  subscribe: {},
  simulate: { method: 'string', container: 'string?', code: 'string', message: 'string', times: 'integer' },
}

const specShape: { [field: string]: Kind } = {
  container: 'name',
  name: 'string',
  epoch: 'integer',
  rootfs: 'path',
  init: 'strings',
  environment: 'record',
  limits: 'object',
  identity: 'object',
  devices: 'object or missing',
  security: 'object or missing',
  sysctls: 'object or missing',
  rlimits: 'object or missing',
}

export function isMethod(method: unknown): method is EngineMethod | 'simulate' {
  return typeof method === 'string' && Object.hasOwn(shapes, method)
}

export function checkParams(method: EngineMethod | 'simulate', params: unknown): { [field: string]: unknown } {
  const fields = checkObject(method, params, shapes[method])
  if (fields.spec) checkObject(`${method}: spec`, fields.spec, specShape)
  return fields
}

function checkObject(what: string, value: unknown, shape: { [field: string]: Kind }): { [field: string]: unknown } {
  if (!isObject(value)) throw new DroverError('BAD_REQUEST', `${what}: parameters must be an object`)
  for (const field of Object.keys(value)) {
    if (!Object.hasOwn(shape, field))
      throw new DroverError('BAD_REQUEST', `${what}: unknown field ${field.slice(0, 64)}`)
  }
  for (const [field, kind] of Object.entries(shape)) {
    if (!kinds[kind](value[field])) {
      const shown = JSON.stringify(value[field])?.slice(0, 100) ?? 'missing'
      throw new DroverError('BAD_REQUEST', `${what}: ${field} must be ${meanings[kind]}, it is ${shown}`)
    }
  }
  return value
}

const isObject = (value: unknown): value is { [field: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const labelPattern = new RegExp(namePattern)

const isPath = (value: unknown): boolean => typeof value === 'string' && value.startsWith('/')

const kinds: { [kind in Kind]: (value: unknown) => boolean } = {
  string: (value) => typeof value === 'string',
  'string?': (value) => value === null || typeof value === 'string',
  'label or nothing': (value) => value == null || (typeof value === 'string' && labelPattern.test(value)),
  integer: (value) => Number.isSafeInteger(value),
  'integer?': (value) => value === null || Number.isSafeInteger(value),
  'integer or missing': (value) => value === undefined || Number.isSafeInteger(value),
  name: (value) => typeof value === 'string' && /^[a-z0-9-]{1,32}$/.test(value),
  path: isPath,
  'path or missing': (value) => value === undefined || isPath(value),
  strings: (value) => Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string'),
  'strings or null': (value) =>
    value === null || (Array.isArray(value) && value.every((item) => typeof item === 'string')),
  record: (value) => isObject(value) && Object.values(value).every((item) => typeof item === 'string'),
  boolean: (value) => typeof value === 'boolean',
  object: isObject,
  'list or missing': (value) => value === undefined || Array.isArray(value),
  'boolean or missing': (value) => value === undefined || typeof value === 'boolean',
  'object?': (value) => value === null || isObject(value),
  'object or missing': (value) => value === undefined || isObject(value),
}

const meanings: { [kind in Kind]: string } = {
  string: 'a string',
  'string?': 'a string or null',
  'label or nothing': 'a DNS label, null or missing',
  integer: 'an integer',
  'integer?': 'an integer or null',
  'integer or missing': 'an integer, or missing',
  name: '1 to 32 of a-z, 0-9 and -',
  path: 'an absolute path',
  'path or missing': 'an absolute path, or missing',
  strings: 'a list of at least one string',
  'strings or null': 'a list of strings, or null',
  record: 'an object of strings',
  boolean: 'true or false',
  object: 'an object',
  'list or missing': 'a list, or missing',
  'boolean or missing': 'true, false or missing',
  'object?': 'an object or null',
  'object or missing': 'an object, or missing',
}

// The API of one controller without a bus: requests are injected, model hosts are heard through their reports only.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ControllerConfig, ErrorBody } from '@drover/protocol'
import { SingleNodeLog } from '@drover/raft'
import { removeDirectory } from '@drover/testkit/temporary'
import { pino } from 'pino'
import type { Test } from 'tap'
import { planForHost } from '../../src/core/planner.ts'
import type { ControllerContext } from '../../src/shell/context.ts'
import { EventHub } from '../../src/shell/event-hub.ts'
import { apiServer } from '../../src/shell/http/server.ts'
import { Reports } from '../../src/shell/reports.ts'
import { ClusterStateMachine } from '../../src/shell/state-machine.ts'
import { submit } from '../../src/shell/submit.ts'
import { ModelHost, type ModelHostOptions } from './model-host.ts'

export const secret = 'a-secret-for-tests-0123'

export async function apiFixture(
  test: Test,
  hosts: readonly Omit<ModelHostOptions, 'wire'>[] = [{ name: 'a' }, { name: 'b' }],
) {
  const directory = mkdtempSync(join(tmpdir(), 'drover-api-'))
  const config: ControllerConfig = {
    cluster: 'test',
    name: 'one',
    dataDirectory: directory,
    apiAddress: '127.0.0.1',
    apiPort: 0,
    secret,
    natsServers: ['nats://127.0.0.1:1'],
    raft: null,
    containerNetwork: '10.77.0.0/16',
    gateway: null,
  }
  const machine = new ClusterStateMachine(join(directory, 'state'), (error) => test.fail(String(error)))
  const log = new SingleNodeLog({ directory: join(directory, 'log'), machine })
  const reports = new Reports('test', Date.now())
  const events = new EventHub()
  machine.onApplied((applied) => events.add(applied.events))
  const context: ControllerContext = {
    config,
    log,
    machine,
    reports,
    events,
    pending: new Map(),
    logger: pino({ level: 'silent' }),
    now: Date.now,
    seed: () => 1,
  }
  await log.start()
  const api = await apiServer(context)
  test.teardown(async () => {
    await api.close()
    await log.close()
    await machine.close()
    await removeDirectory(directory)
  })
  const wire = { sent: new Set<string>() }
  const models = new Map(hosts.map((options) => [options.name, new ModelHost({ ...options, wire })]))
  /** Takes a report of the host in and commits what it makes worth committing. */
  const report = async (host: string) => {
    reports.receive(Buffer.from(JSON.stringify(models.get(host)!.report())), Date.now())
    for (const entry of [
      ...planForHost({ state: machine.state, observed: reports, nowMs: Date.now(), seed: 1 }, host),
    ]) {
      await submit(log, entry)
    }
  }
  for (const host of models.keys()) await report(host)
  const image = {
    digest: 'sha256:1',
    name: 'busybox',
    sizeBytes: 1,
    init: ['/sbin/init'],
    createdAtMs: 1,
    builtOn: 'a',
  }
  const building = { atMs: 1, operation: 'op-image' }
  await submit(log, {
    type: 'ImageBuildStarted',
    ...building,
    recipe: 'busybox',
    name: 'busybox',
    host: hosts[0]!.name,
  })
  await submit(log, { type: 'ImageRegistered', ...building, image })
  const call = async <T = ErrorBody>(
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    options: { body?: unknown; text?: string; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; body: T }> => {
    const payload = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
    const response = await api.inject({
      method,
      url,
      headers: {
        authorization: `Bearer ${secret}`,
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(payload === undefined ? {} : { payload }),
    })
    return { status: response.statusCode, body: response.json() as T }
  }
  return { api, context, call, models, report }
}

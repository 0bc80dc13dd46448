// The page in a real browser, against a fake API: what a person sees, does and is asked. Needs a Chromium on the machine
// (in PATH, or DROVER_CHROMIUM); without one it is skipped.

import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { container, FakeApi, host, move, operation } from './fake-api.ts'

const executable = findChromium()
if (!executable) t.plan(0, 'no Chromium on this machine (in PATH, or DROVER_CHROMIUM)')
else await tests(executable)

async function tests(executablePath: string): Promise<void> {
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  t.teardown(() => browser.close())

  await t.test('the secret is asked for, a wrong one refused, and kept for the tab only', async (t) => {
    const { page, api, url, wasClean } = await open(t, browser)
    await page.fill('#secret', 'wrong')
    await page.click('#sign-in button')
    await page.waitForFunction("document.getElementById('sign-in-problem').textContent.includes('wrong')")
    t.equal(await page.isVisible('#content'), false)
    await page.fill('#secret', api.secret)
    await page.keyboard.press('Enter')
    await page.waitForSelector('#content', { state: 'visible' })
    await page.reload()
    await page.waitForSelector('#content', { state: 'visible' })
    const other = await page.context().newPage()
    await other.goto(url)
    await other.waitForSelector('#sign-in[open]')
    wasClean()
  })

  await t.test('hosts, containers and operations are shown, names as text and not as markup', async (t) => {
    const { page, wasClean } = await signedIn(t, browser, (api) => {
      api.hosts = [host('a'), host('b', { status: 'cordoned', cordoned: true })]
      api.containers = [container(1, 'web-1'), container(2, '<img src=x onerror=document.title=1>')]
      api.operations = [operation('o1')]
    })
    t.same(await page.locator('.card .name').allTextContents(), ['a', 'b'])
    t.match(
      await page.locator('.card svg').first().getAttribute('aria-label'),
      /512 MiB asked for, 128 MiB used, of 1 GiB/,
    )
    t.equal(await page.locator('.card').nth(1).locator('[data-action=uncordon]').isVisible(), true)
    t.equal(await page.locator('.card').nth(1).locator('[data-action=cordon]').isVisible(), false)
    t.same(await page.locator('#containers th').allTextContents(), ['web-1', '<img src=x onerror=document.title=1>'])
    t.equal(await page.title(), 'drover')
    t.equal(await page.locator('#operations progress').getAttribute('value'), '0.25')
    t.match(await page.locator('#summary').textContent(), /2 of 2 hosts ready · 2 of 2 containers running · leader one/)
    wasClean()
  })

  await t.test('the search finds by several words, and says when there is nothing or more than is shown', async (t) => {
    const { page, wasClean } = await signedIn(t, browser, (api) => {
      api.containers = Array.from({ length: 250 }, (_, index) =>
        container(index + 1, `web-${index + 1}`, { host: index % 2 === 0 ? 'east' : 'west' }),
      )
    })
    t.equal(await page.locator('#containers tr').count(), 200)
    t.match(await page.locator('#containers-rest').textContent(), /^50 more/)
    await page.fill('#search', 'web-24 west')
    t.same(await page.locator('#containers th').allTextContents(), [
      'web-24',
      'web-240',
      'web-242',
      'web-244',
      'web-246',
      'web-248',
    ])
    await page.fill('#search', 'nothing like it')
    t.equal(await page.locator('#containers tr').count(), 0)
    t.equal(await page.locator('#containers-rest').textContent(), 'No container.')
    wasClean()
  })

  await t.test('an event brings the page up to date and is listed; a broken stream is taken up again', async (t) => {
    const { page, api, wasClean } = await signedIn(t, browser, (api) => {
      api.containers = [container(1, 'web-1')]
    })
    await page.waitForSelector('#connection[data-state=live]')
    api.containers = [container(1, 'web-1', { host: 'b' })]
    api.send({ id: 7, atMs: 0, kind: 'migration.committed', target: 'web-1', message: 'runs on b', operation: null })
    await page.waitForSelector('#containers [data-cell=host]:text-is("b")')
    t.match(await page.locator('#events li').first().textContent(), /migration\.committed.*web-1: runs on b/)
    api.breakStreams()
    await page.waitForSelector('#connection[data-state=lost]')
    await page.waitForSelector('#connection[data-state=live]')
    wasClean()
  })

  await t.test('a move is asked for in full, and nothing is sent when it is cancelled', async (t) => {
    const { page, api, wasClean } = await signedIn(t, browser, (api) => {
      api.hosts = [host('a'), host('b')]
      api.containers = [container(1, 'web-1')]
    })
    await page.click('[aria-label="Move container web-1"]')
    await page.click('#question button[value=no]')
    await page.waitForSelector('#question[open]', { state: 'detached' })
    t.same(api.writes, [])
    await page.click('[aria-label="Move container web-1"]')
    t.same(await page.locator('#question select[name=host] option').allTextContents(), ['where it fits best', 'b'])
    await page.selectOption('#question select[name=host]', 'b')
    await page.click('#question-yes')
    await written(page, api, 1)
    t.match(api.writes[0], {
      path: '/v1/containers/web-1/move',
      body: { host: 'b', mode: 'live' },
      key: /^[0-9a-f]{32}$/,
    })
    wasClean()
  })

  await t.test('a host is evacuated after a question; an operation is cancelled; a refusal is told', async (t) => {
    const { page, api, wasClean } = await signedIn(t, browser, (api) => {
      api.hosts = [host('a')]
      api.operations = [operation('o1')]
      api.refusals.set('/v1/hosts/a/cordon', { status: 409, code: 'BUSY', message: 'host a is being evacuated' })
    })
    await page.click('[aria-label="Evacuate host a"]')
    t.equal(await page.locator('#question-heading').textContent(), 'Evacuate host a?')
    await page.click('#question-yes')
    await written(page, api, 1)
    await page.click('[aria-label="Cancel evacuate a"]')
    await page.click('#question-yes')
    await written(page, api, 2)
    t.same(
      api.writes.map(({ path }) => path),
      ['/v1/hosts/a/evacuate', '/v1/operations/o1/cancel'],
    )
    await page.click('[aria-label="Cordon host a"]')
    await page.click('#question-yes')
    await page.waitForSelector('#notices:has-text("host a is being evacuated (BUSY)")')
    wasClean()
  })

  await t.test(
    'a move’s row tells phase, bytes, rates and the blackout to be expected, and goes on by itself',
    async (t) => {
      const figures = { sent_bytes: 120 << 20, bytes_per_s: 95 << 20, dirty_bytes_per_s: 12 << 20, ahead_rounds: 3 }
      const { page, api, wasClean } = await signedIn(t, browser, (api) => {
        api.containers = [container(1, 'web-1', { state: 'migrating', operation: 'm1' })]
        api.operations = [move('m1', 'precopying', { ...figures, estimated_blackout_ms: 84.4, eta_ms: 4_000 })]
      })
      const row = page.locator('#operations li')
      t.equal(await row.locator('.pill').textContent(), 'precopying')
      t.equal(await row.locator('.message').textContent(), 'a → b')
      t.equal(
        await row.locator('.figures').textContent(),
        '120 MiB sent at 95 MiB/s · 12 MiB/s written · round 3 · blackout about 84 ms · 4.0 s to go',
      )
      // No event tells of it.
      api.operations = [move('m1', 'switching', { ...figures, sent_bytes: 130 << 20, estimated_blackout_ms: 90 })]
      await page.waitForSelector('#operations .figures:has-text("130 MiB sent")')
      t.equal(await row.locator('.pill').textContent(), 'switching')
      await page.click('[aria-label="Cancel move web-1"]')
      await page.click('#question-yes')
      await written(page, api, 1)
      t.equal(api.writes[0]?.path, '/v1/operations/m1/cancel')
      api.operations = [move('m1', 'done', { ...figures, blackout_ms: 91.6 }, { state: 'done', endedAtMs: 2_000 })]
      await page.waitForSelector('#operations .message:has-text("blackout 92 ms · took 2 s")')
      t.equal(await row.locator('.figures').isVisible(), false)
      wasClean()
    },
  )

  await t.test('there is a light and a dark theme, by the reader’s system', async (t) => {
    const { page, wasClean } = await signedIn(t, browser, () => {})
    const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
    await page.emulateMedia({ colorScheme: 'light' })
    const light = await ground()
    await page.emulateMedia({ colorScheme: 'dark' })
    t.not(await ground(), light)
    wasClean()
  })
}

async function open(t: Test, browser: Browser, prepare: (api: FakeApi) => void = () => {}) {
  const api = new FakeApi()
  prepare(api)
  const url = await api.start()
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of (401|409)|ERR_|Failed to load/.test(message.text()))
      problems.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) problems.push(`asked ${request.url()}`)
  })
  t.teardown(async () => {
    if (process.env.DROVER_SCREENSHOTS) {
      await page.screenshot({
        path: join(process.env.DROVER_SCREENSHOTS, `${t.name.slice(0, 30)}.png`),
        fullPage: true,
      })
    }
    await context.close()
    api.close()
  })
  await page.goto(url)
  const wasClean = () => t.same(problems, [], 'no script error, and nothing asked of another host')
  return { page, api, url, wasClean }
}

async function signedIn(t: Test, browser: Browser, prepare: (api: FakeApi) => void) {
  const opened = await open(t, browser, prepare)
  await opened.page.fill('#secret', opened.api.secret)
  await opened.page.keyboard.press('Enter')
  await opened.page.waitForSelector('#content', { state: 'visible' })
  return opened
}

/** Until the API has got so many writes. */
async function written(page: Page, api: FakeApi, count: number): Promise<void> {
  while (api.writes.length < count) await page.waitForResponse((response) => response.request().method() === 'POST')
}

function findChromium(): string | null {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
  const inPath = (process.env.PATH ?? '').split(':').flatMap((folder) => names.map((name) => join(folder, name)))
  const candidates = process.env.DROVER_CHROMIUM ? [process.env.DROVER_CHROMIUM] : inPath
  return candidates.find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

import {readFile} from 'node:fs/promises'
import {beforeEach, expect, test} from 'vitest'
import {launch, pipe, untilSaid} from '../support/piped.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, wholeFleet} from '../support/whole-fleet.ts'

beforeEach(needEngine)

/** Numbered lines, about a thousand a second, until there is a file /tmp/stop; the last one says how many there were. */
const numbering =
  'i=0; until [ -e /tmp/stop ]; do n=0; while [ $n -lt 100 ]; do i=$((i+1)); n=$((n+1)); echo "line $i"; done; sleep 0.1; done; echo "all $i"'

/** Containers that print as fast as they can; the row asks for 10. */
const floods = Number(process.env.GPUCTL_TEST_FLOODS ?? 3)
const mostMiB = 100

/** How often the server goes away; the soak asks for 20. */
const restarts = Number(process.env.GPUCTL_TEST_RESTARTS ?? 3)

test('F21: following goes on over restarts of the server without a lost or a doubled line', {
  timeout: restarts * 30_000,
}, async () => {
  const fleet = await wholeFleet({server: 'process'})
  const {name} = await fleet.running({command: ['sh', '-c', numbering]})
  const {child, ended} = launch(fleet, ['logs', '-f', name])
  let seen = 0
  child.stdout?.on('data', (piece: Buffer) => {
    for (const byte of piece) if (byte === 10) seen++
  })

  for (let restart = 1; restart <= restarts; restart++) {
    const before = seen
    await eventually(() => seen > before + 200, {withinMs: 20_000, what: `lines after restart ${restart - 1}`})
    await fleet.server.stop()
    await fleet.server.startAgain()
  }
  const stop = async () => (await pipe(fleet, ['exec', name, 'touch', '/tmp/stop'])).code === 0
  await eventually(stop, {withinMs: 20_000, what: 'the end of the numbering'}) // the agent comes back after the server
  const {code, stdout} = await ended

  const lines = stdout.toString().split('\n').slice(0, -1)
  const count = lines.length - 1
  const wanted = [...Array.from({length: count}, (_, at) => `line ${at + 1}`), `all ${count}`]
  expect(count).toBeGreaterThan(200 * restarts)
  expect(lines.find((line, at) => line !== wanted[at])).toBeUndefined()
  expect(code).toBe(0)
})

test('of several instances each line bears its name; --grep picks, and the first exit code that is not 0 counts', async () => {
  const fleet = await wholeFleet()
  const one = await fleet.running({name: 'one', command: ['sh', '-c', 'echo alpha; echo beta; sleep 1; exit 0']})
  await fleet.running({name: 'other', command: ['sh', '-c', 'echo gamma; printf "alpha without end"; sleep 1; exit 4']})

  const both = await pipe(fleet, ['logs', '-f', 'one', 'other'])
  const picked = await pipe(fleet, ['logs', 'one', 'other', '--grep', '^al.ha'])
  const asJson = await pipe(fleet, ['logs', one.name, 'other', '-o', 'ndjson'])

  expect(both.code).toBe(4)
  expect(both.stdout.toString().split('\n').sort()).toEqual(
    ['', 'one   | alpha', 'one   | beta', 'other | alpha without end', 'other | gamma'].sort(),
  )
  expect(picked.stdout.toString().split('\n').sort()).toEqual(['', 'one   | alpha', 'other | alpha without end'])
  expect(asJson.stdout.toString()).toContain('{"instance":"one","stream":"stdout","text":"alpha')
})

test('the output before the last restart is printed by itself', async () => {
  const fleet = await wholeFleet()
  const claim = await fleet.running({
    command: ['sh', '-c', 'cat /proc/uptime; echo run; trap "exit 0" TERM; while :; do sleep 0.1; done'],
  })
  const first = await eventually(
    async () => (await pipe(fleet, ['logs', claim.name])).stdout.toString().match(/[\d. ]+\nrun\n/)?.[0],
  )

  const early = await pipe(fleet, ['logs', claim.name, '--previous'])
  expect(await pipe(fleet, ['instance', 'restart', claim.name, '-y'])).toMatchObject({code: 0})
  await eventually(async () => (await pipe(fleet, ['logs', claim.name])).stdout.toString().split('run').length === 3, {
    withinMs: 10_000,
  })
  const previous = await pipe(fleet, ['logs', claim.name, '--previous'])

  expect(early).toMatchObject({code: 3, stderr: expect.stringContaining('was not restarted')})
  expect(previous.stdout.toString()).toBe(first)
})

test('one name that does not exist ends all with its reason', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const {child, ended} = launch(fleet, ['logs', '-f', name, 'nobody'])
  await untilSaid(child, /Error/)

  expect(await ended).toMatchObject({code: 3, stderr: expect.stringContaining('There is no instance nobody.')})
})

test('F27: a flood of output and a line of 100 MB cost the reader little memory', async () => {
  const fleet = await wholeFleet({server: 'process'})
  const names = await Promise.all(
    Array.from(
      {length: floods},
      async (_, at) => (await fleet.running({name: `flood-${at}`, command: ['yes', 'flood']})).name,
    ),
  )
  const long = await fleet.running({
    name: 'long',
    command: ['sh', '-c', 'head -c 100000000 /dev/zero | tr "\\0" x; echo; sleep 1000'],
  })
  const {child} = launch(fleet, ['logs', '-f', ...names, long.name, '--grep', '^flood$|x'])
  let bytes = 0
  child.stdout?.removeAllListeners('data') // they would keep it all
  child.stdout?.on('data', (piece: Buffer) => {
    bytes += piece.length
  })

  let peakMiB = 0
  const look = async () => {
    peakMiB = Math.max(peakMiB, await ownMemoryMiB(child.pid))
    return bytes > 20_000_000
  }
  await eventually(look, {withinMs: 60_000, everyMs: 50, what: 'the flood'})

  expect(peakMiB).toBeGreaterThan(10)
  expect(peakMiB).toBeLessThan(mostMiB)
})

/** What a program holds in memory now without the pages of its files, which it shares with every other of its kind. */
async function ownMemoryMiB(pid: number | undefined): Promise<number> {
  return Number(/RssAnon:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

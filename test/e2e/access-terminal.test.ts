import {createHash, randomBytes} from 'node:crypto'
import {beforeEach, expect, test} from 'vitest'
import {launch, pipe, untilSaid} from '../support/piped.ts'
import {Screen} from '../support/screen.ts'
import {need} from '../support/skips.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, wholeFleet} from '../support/whole-fleet.ts'

beforeEach(needEngine)

test('input, output, errors and the exit code of a command pass unchanged, binary too', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const bytes = randomBytes(2_000_000)

  const echoed = await pipe(fleet, ['exec', '-i', name, 'cat'], bytes)
  const summed = await pipe(fleet, ['exec', '-i', name, '--', 'md5sum'], bytes)
  const ended = await pipe(fleet, [
    'exec',
    '-w',
    '/tmp',
    '-e',
    'A=b c',
    name,
    'sh',
    '-c',
    'pwd; echo "$A" >&2; exit 42',
  ])
  const killed = await pipe(fleet, ['exec', name, 'sh', '-c', 'kill -9 $$'])
  const missing = await pipe(fleet, ['exec', name, 'no-such-program'])

  expect(echoed).toMatchObject({code: 0, stderr: ''})
  expect(echoed.stdout.equals(bytes)).toBe(true)
  expect(summed.stdout.toString()).toContain(createHash('md5').update(bytes).digest('hex'))
  expect({...ended, stdout: ended.stdout.toString()}).toEqual({code: 42, stdout: '/tmp\n', stderr: 'b c\n'})
  expect(killed.code).toBe(137)
  expect([126, 127]).toContain(missing.code)
})

test('the end of our input is the end of that of the command; Ctrl-C goes to it, and a second one ends us', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const trapping = 'trap "echo caught; exit 7" INT; echo ready; while :; do sleep 0.1; done'

  const polite = launch(fleet, ['exec', name, '--', 'sh', '-c', trapping])
  await untilSaid(polite.child, /ready/)
  polite.child.kill('SIGINT')
  const stubborn = launch(fleet, ['exec', name, '--', 'sh', '-c', 'trap "" INT TERM; echo ready; sleep 1000'])
  await untilSaid(stubborn.child, /ready/)
  stubborn.child.kill('SIGINT')
  await new Promise(resolve => setTimeout(resolve, 300)) // it is not to end by the first one
  const stillRuns = stubborn.child.exitCode === null
  stubborn.child.kill('SIGINT')

  expect(await polite.ended).toMatchObject({code: 7, stdout: Buffer.from('ready\ncaught\n')})
  expect(stillRuns).toBe(true)
  expect(await stubborn.ended).toMatchObject({code: 130})
  const left = async () => (await pipe(fleet, ['exec', name, 'ps'])).stdout.toString().includes('sleep 1000')
  await eventually(async () => !(await left()), {withinMs: 10_000, what: 'the end of the command'})
})

test('a terminal shows full-screen programs, follows its size, and is itself again at the end', async context => {
  need(context, 'tmux')
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const screen = new Screen(fleet)

  screen.run(`exec -it ${name} sh; echo "code $?, raw $(stty -a | grep -c -e -icanon)"`)
  await screen.shows(/^(~|\/) #|^\/ # *$/m)
  screen.type('stty size')
  screen.press('Enter')
  await screen.shows(/^24 80$/m)
  screen.type('vi /tmp/note')
  screen.press('Enter')
  await screen.shows(/^~$[\s\S]*- \/tmp\/note 1\/1/m)
  screen.type('ihello')
  await screen.shows(/^hello[\s\S]*^I \/tmp\/note/m)
  screen.resize(100, 30)
  screen.press('Escape')
  await screen.shows(/^- \/tmp\/note/m)
  screen.type(':wq')
  screen.press('Enter')
  await screen.shows(/# *$/)
  screen.type('clear; cat /tmp/note; stty size')
  screen.press('Enter')
  await screen.shows(/^hello\n30 100$/m)
  screen.type('clear; echo on; sleep 1000')
  screen.press('Enter')
  await screen.shows(/^on$/m)
  screen.press('C-c')
  await screen.shows(/\^C\n.*# *$/)
  screen.type('exit 3')
  screen.press('Enter')
  await screen.shows(/^code 3, raw 0$/m)
})

test('who detaches leaves the command running', async context => {
  need(context, 'tmux')
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const screen = new Screen(fleet)

  screen.run(`exec -it ${name} -- sh -c 'i=0; while :; do i=$((i+1)); echo $i | tee /tmp/count; sleep 0.1; done'`)
  await screen.shows(/^5$/m)
  screen.press('C-p', 'C-q')
  await screen.shows(/Left; the command runs on\.[\s\S]*here> *$/)

  const count = async () => Number((await pipe(fleet, ['exec', name, 'cat', '/tmp/count'])).stdout.toString())
  const before = await count()
  await eventually(async () => (await count()) > before + 5, {withinMs: 10_000, what: 'further counting'})
})

test('a shell is opened with one word, and ends with its code', async context => {
  need(context, 'tmux')
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const screen = new Screen(fleet)

  screen.run(`instance terminal ${name}; echo "ended $?"`)
  await screen.shows(/# *$/)
  screen.type('echo "$TERM" $((6*7))')
  screen.press('Enter')
  await screen.shows(/^\S+ 42$/m)
  screen.press('C-d')
  await screen.shows(/^ended 0$/m)
})

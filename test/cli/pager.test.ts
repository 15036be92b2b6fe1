import {expect, test} from 'vitest'
import {operator} from '../support/gpuctl.ts'
import {Screen} from '../support/screen.ts'
import {need} from '../support/skips.ts'
import {nativeServer} from './native-server.ts'

const many = Array.from({length: 60}, (_, at) => ({id: `u-${at}`, username: `user-${at}`, role: 'user', enabled: true}))
/** Says that it was asked, and shows the end. */
const pager = (name: string) => `sed -n '$p' | sed 's/^/${name} shows: /'`

test('what is longer than the screen goes through GPUCTL_PAGER, else PAGER; not with --no-pager, nor what fits', async context => {
  need(context, 'tmux')
  const {url} = await nativeServer({'GET /users': many})
  const {env} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret', NO_COLOR: '1'})
  const own = Object.entries(env).filter(([name]) => /^(GPUCTL_|NO_COLOR)/.test(name)) as [string, string][]
  const screen = new Screen({
    cliEnvironment: {...Object.fromEntries(own), GPUCTL_PAGER: pager('mine'), PAGER: pager('other')},
  })
  await screen.shows(/here>/)
  let typedLines = 0
  const answer = async (typed: string) => {
    // A word of its own: the end of the line before may stand there until the screen is cleared.
    const end = `end-${++typedLines}`
    screen.type('clear')
    screen.press('Enter')
    screen.run(`${typed}; echo "${end}"=$?`)
    await screen.shows(new RegExp(`${end}=0`))
    return screen.text
  }

  expect(await answer('user list')).toMatch(/mine shows: user-59/)
  expect(await answer('user list --no-pager')).toMatch(/^user-59 /m)
  expect(await answer('user list --limit 3')).toMatch(/^user-2 /m)
  screen.type('unset GPUCTL_PAGER')
  screen.press('Enter')
  expect(await answer('user list')).toMatch(/other shows: user-59/)
  screen.type('export GPUCTL_PAGER=cat')
  screen.press('Enter')
  expect(await answer('user list')).toMatch(/^user-59 /m)
  for (const none of ['/no/such/pager', '/tmp']) {
    screen.type(`export GPUCTL_PAGER=${none}`)
    screen.press('Enter')
    expect(await answer('user list')).toMatch(/^user-59 /m)
  }
})

test('a pipe never gets a pager', async () => {
  const {url} = await nativeServer({'GET /users': many})
  const {ok} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret', GPUCTL_PAGER: pager('mine')})

  const {stdout} = await ok(['user', 'list'])
  expect(stdout.split('\n')).toHaveLength(61)
  expect(stdout).not.toContain('mine shows')
})

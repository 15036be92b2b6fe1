import {expect, test} from 'vitest'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator, program} from '../support/gpuctl.ts'
import {Screen} from '../support/screen.ts'
import {need} from '../support/skips.ts'
import {eventually} from '../support/wait.ts'

const widths = [80, 200]

/** What a spinner leaves behind, and what of a terminal's own language stands there as text. */
const leftover = /[⠀-⣿]|\^\[|\x1b|\ufffd/

test('the screens of login, approval, waiting, top and a failure read well in 80 and in 200 columns', async context => {
  need(context, 'tmux')
  const plane = await controlPlane()
  const asAdmin = {token: plane.adminToken}
  await simulatedFleet(plane, {nodes: 1, gpus: 2})
  const {password} = await plane.user('ada', {role: 'super_admin'})

  for (const columns of widths) {
    const {env, home} = await operator({GPUCTL_NO_UPDATE_NOTIFIER: '1'})
    const screen = new Screen({cliEnvironment: {...env, HOME: home}}, {columns, rows: 30})
    await screen.shows(/here>/)
    screen.type(`gpuctl() { '${process.execPath}' '${program}' "$@"; }\n`)
    /** On an empty screen. */
    const begin = (line: string) => screen.type(`clear; ${line}\n`)
    /** Waits for the prompt behind it, and looks at what stands there. */
    const ends = async (pattern: RegExp) => {
      await screen.shows(new RegExp(`${pattern.source}[\\s\\S]*^here>$`, `${pattern.flags}m`))
      expect(screen.text).not.toMatch(leftover)
      expect(screen.written.filter(line => line.length > columns)).toEqual([])
      expect(screen.isCursorShown).toBe(true)
    }

    begin(`gpuctl login ${plane.url}`)
    await screen.shows(/\? User name/)
    screen.type('ada\n')
    await screen.shows(/\? Password/)
    screen.type(`${password}\n`)
    await ends(/Logged in to \S+ as ada \(super_admin\); context 127\.0\.0\.1 is\s+now\s+current\./)
    expect(screen.text).not.toContain(password)

    const waiting = `gpu-box-${columns}`
    await plane.joinRequest(waiting)
    begin(`gpuctl node approve ${waiting}`)
    await screen.shows(/\? Admit gpu-box-\d+ to the fleet\? \(y\/N\)/)
    expect(screen.text).toMatch(
      new RegExp(`^${waiting} waits at 127\\.0\\.0\\.1\\.\n {2}GPUs +none reported\n {2}Asked +.*ago$`, 'm'),
    )
    screen.type('y\n')
    await ends(new RegExp(`^Approved ${waiting} from 127\\.0\\.0\\.1\\.\nNext: gpuctl node get ${waiting}`))
    expect(screen.text.match(/Fingerprint/g)).toHaveLength(1)

    const holder = await plane.ok('claims.submit', {image: 'cuda', gpus: {count: 2}}, asAdmin)
    await eventually(
      async () => (await plane.ok<Claim>('claims.get', {id: holder.id}, asAdmin)).status.phase === 'Running',
    )
    begin(`gpuctl claim submit --name train-${columns} --image cuda --gpus 2 --wait`)
    await screen.shows(/^\S train-\d+ is queued\. It waits for room: sim-0001 has 0 of 2 GPUs free[\s\S]* \(\d+ s\)$/m)
    expect(screen.written.filter(line => line.length > columns)).toEqual([])
    await plane.ok('claims.cancel', {id: holder.id}, asAdmin)
    await ends(new RegExp(`^train-${columns} runs on sim-0001\\.\nNext: gpuctl logs -f train-${columns}`))

    await plane.ok('claims.submit', {name: `next-${columns}`, image: 'cuda', gpus: {count: 1}}, asAdmin)
    begin('echo before; gpuctl top')
    await screen.shows(new RegExp(`^ {2}train-${columns} +running +sim-0001 +0,1`, 'm'))
    await screen.shows(new RegExp(` 1 +next-${columns} .* sim-0001`, 'm'))
    expect(screen.text).toMatch(/^gpuctl top .*\nGPUs 2 of 2 held.*\n▸ NODES .*\n> gpu-box-\d+ +joining/m)
    expect(screen.text).toMatch(/q quit$/)
    expect(screen.written.filter(line => line.length > columns)).toEqual([])
    screen.press('q')
    await ends(/^before/)
    expect(screen.text).not.toContain('NODES')

    begin('gpuctl status --server http://127.0.0.1:1')
    await ends(
      /^Error: http:\/\/127\.0\.0\.1:1 cannot be reached: nothing listens there\.\s+\(E_SERVER_UNREACHABLE\)\nTry: /,
    )
    begin(`gpuctl node get gpu-boxx-${columns}`)
    await ends(
      new RegExp(`^Error: There is no node gpu-boxx-${columns}\\. \\(E_NOT_FOUND\\)\nTry: Did you mean ${waiting}\\b`),
    )

    for (const name of [`next-${columns}`, `train-${columns}`]) await plane.ok('claims.cancel', {id: name}, asAdmin)
  }
})

interface Claim {
  status: {phase: string}
}

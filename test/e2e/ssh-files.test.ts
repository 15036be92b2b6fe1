import {execFileSync} from 'node:child_process'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {busyboxImage} from '../support/images.ts'
import type {SshClient} from '../support/ssh-client.ts'
import {sshPlace} from '../support/ssh-place.ts'
import {sleeper} from '../support/whole-fleet.ts'

function sftp(client: SshClient, login: string, batch: string) {
  const args = ['-q', '-b', '-', '-P', String(client.port), ...client.keyOptions(), `${login}@127.0.0.1`]
  return client.run('sftp', args, {input: batch, withinMs: 60_000})
}

function scp(client: SshClient, flags: string[], from: string, to: string) {
  return client.run('scp', ['-q', ...flags, '-P', String(client.port), ...client.keyOptions(), from, to], {
    withinMs: 60_000,
  })
}

/** Beside `train`, whose image has sftp-server, scp and rsync, an instance `bare` of plain busybox. */
async function filesPlace(context: Parameters<typeof sshPlace>[0]) {
  const place = await sshPlace(context)
  const {id} = await place.ada.call('claims.submit', {name: 'bare', image: busyboxImage, command: sleeper})
  await place.fleet.untilClaim(id, ({status}) => status.phase === 'Running')
  return place
}

describe('files', () => {
  test('scp carries a large file both ways, with an sftp-server in the image and without', async context => {
    const {client} = await filesPlace(context)
    for (const [name, megabytes] of [
      ['train', 64],
      ['bare', 8],
    ] as const) {
      const big = join(client.folder, 'big')
      execFileSync('dd', ['if=/dev/urandom', `of=${big}`, 'bs=1M', `count=${megabytes}`], {stdio: 'ignore'})
      const at = `ada+${name}@127.0.0.1:/tmp/big`
      expect([name, await scp(client, [], big, at)]).toEqual([name, {code: 0, stdout: '', stderr: ''}])
      expect([name, await scp(client, [], at, join(client.folder, name))]).toMatchObject([name, {code: 0, stderr: ''}])
      expect(readFileSync(join(client.folder, name)).equals(readFileSync(big))).toBe(true)
    }
    const small = join(client.folder, 'small')
    writeFileSync(small, 'by scp -O\n')
    expect(await scp(client, ['-O'], small, 'ada+train@127.0.0.1:/tmp/small')).toMatchObject({code: 0, stderr: ''})
    expect(await scp(client, ['-O'], 'ada+train@127.0.0.1:/tmp/small', `${small}-2`)).toMatchObject({code: 0})
    expect(readFileSync(`${small}-2`, 'utf8')).toBe('by scp -O\n')
  })

  test('SFTP without sftp-server does what sftp asks, and says what it cannot', async context => {
    const {client} = await filesPlace(context)
    const local = join(client.folder, 'local')
    writeFileSync(local, 'first\n', {mode: 0o640})
    const bare = (batch: string) => sftp(client, 'ada+bare', batch)
    const odd = `it's "odd" $HOME \\\\ *`

    const steps = [
      'pwd',
      'mkdir /tmp/d',
      `put -p ${local} /tmp/d/a`,
      'chmod 600 /tmp/d/a',
      'ln -s a /tmp/d/link',
      'ln /tmp/d/a /tmp/d/hard',
      `put ${local} "/tmp/d/${odd.replaceAll('"', '\\"')}"`,
      'rename /tmp/d/hard /tmp/d/moved',
      'ls -la /tmp/d',
      `get /tmp/d/link ${local}-2`,
      'rm /tmp/d/moved',
    ]
    const run = await bare(`${steps.join('\n')}\n`)
    expect(run).toMatchObject({code: 0, stderr: ''})
    expect(run.stdout).toMatch(/^-rw------- .* 6 .* \S*a$/m)
    expect(run.stdout).toMatch(/^l.*link$/m)
    expect(run.stdout).toContain(`it's "odd" $HOME`)
    expect(readFileSync(`${local}-2`, 'utf8')).toBe('first\n')
    const {stdout} = await client.ssh('ada+bare', ['cd /tmp/d; ls -1; cat link; readlink link'])
    expect(stdout).toMatch(/^a\nit's "odd" \$HOME .*\nlink\nfirst\na\n$/)

    // Append and go on where a transfer was cut.
    writeFileSync(local, 'first\nsecond\nthird\n')
    expect(await bare(`reput ${local} /tmp/d/a\nget /tmp/d/a ${local}-3\n`)).toMatchObject({code: 0, stderr: ''})
    expect(readFileSync(`${local}-3`, 'utf8')).toBe('first\nsecond\nthird\n')
    writeFileSync(`${local}-3`, 'first\n')
    expect(await bare(`reget /tmp/d/a ${local}-3\n`)).toMatchObject({code: 0, stderr: ''})
    expect(readFileSync(`${local}-3`, 'utf8')).toBe('first\nsecond\nthird\n')

    for (const [step, words] of [
      ['get /tmp/nothing /dev/null', /not found|No such file/],
      ['mkdir /tmp/d', /Failure|exists/i],
      ['rmdir /tmp/d', /Failure|not empty/i],
      [`put ${local} /nowhere/x`, /No such file/],
      ['get /tmp /dev/null', /not a regular|directory/],
      ['rm /tmp/d', /Failure|directory/],
    ] as const) {
      const refused = await bare(`${step}\n`)
      expect([step, refused]).toEqual([
        step,
        {code: 1, stdout: expect.any(String), stderr: expect.stringMatching(words)},
      ])
    }
    const gone = await bare('rm /tmp/d/*\nrmdir /tmp/d\nls /tmp/d\n')
    expect(gone).toMatchObject({code: 1, stderr: expect.stringMatching(/not found|No such file/)})
  })

  test('a folder of 300 names is listed whole, and a tree of 200 files goes up by rsync and by scp -r', async context => {
    const {client} = await filesPlace(context)
    const tree = join(client.folder, 'tree')
    for (let number = 1; number <= 200; number++) {
      const folder = join(tree, `d${number % 3}`)
      mkdirSync(folder, {recursive: true})
      writeFileSync(join(folder, `f${number}`), `${number}\n`)
    }
    const remote = `ssh ${client.keyOptions().join(' ')} -p ${client.port}`

    expect(await client.run('rsync', ['-a', '-e', remote, `${tree}/`, 'ada+train@127.0.0.1:/tmp/tree/'])).toMatchObject(
      {code: 0, stderr: ''},
    )
    expect(await client.ssh('ada+train', ['find /tmp/tree -type f | wc -l'])).toMatchObject({stdout: '200\n'})
    expect(
      await client.run('rsync', ['-a', '-e', remote, 'ada+train@127.0.0.1:/tmp/tree/', `${tree}-back`]),
    ).toMatchObject({code: 0})
    expect(execFileSync('diff', ['-r', tree, `${tree}-back`], {encoding: 'utf8'})).toBe('')

    await client.ssh('ada+bare', ['mkdir /tmp/many; cd /tmp/many; for i in $(seq 300); do : > n$i; done'])
    const {stdout} = await sftp(client, 'ada+bare', 'ls -1 /tmp/many\n')
    expect(stdout.match(/\/tmp\/many\/n\d+$/gm)).toHaveLength(300)
    expect(await scp(client, ['-r'], join(tree, 'd0'), 'ada+bare@127.0.0.1:/tmp/')).toMatchObject({code: 0, stderr: ''})
    expect(await client.ssh('ada+bare', ['ls /tmp/d0 | wc -l'])).toMatchObject({stdout: '66\n'})
  })
})

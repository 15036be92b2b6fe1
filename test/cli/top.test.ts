import stringWidth from 'string-width'
import {describe, expect, test} from 'vitest'
import {loadPaint} from '../../src/cli/output/paint.ts'
import {type FleetSnapshot, snapshotOf} from '../../src/cli/top/fleet.ts'
import {readKeys} from '../../src/cli/top/keys.ts'
import {drawFleet} from '../../src/cli/top/layout.ts'
import {firstView, press, type View} from '../../src/cli/top/view.ts'
import type {Claim} from '../../src/contract/schemas/claims.ts'
import type {Instance} from '../../src/contract/schemas/instances.ts'
import type {NodeStats} from '../../src/contract/schemas/nodes.ts'

const at = '2026-11-21T16:31:05.000Z'

function reading(name: string, gpus: (number | null)[], rest: Partial<NodeStats> = {}): NodeStats {
  return {
    ...{id: `id-${name}`, number: 1, name, at, status: 'online', hostname: name, uptimeSeconds: 1, activeBackups: 0},
    ...{cpuPercent: 12.6, memoryPercent: 40, memoryUsedMiB: 1, memoryTotalMiB: 2, diskPercent: 71, load1: 3.25},
    ...{networkRxBytes: 0, networkTxBytes: 0},
    gpus: gpus.map((utilizationPercent, index) => ({
      ...{index, uuid: `GPU-${name}-${index}`, model: 'RTX 4090', utilizationPercent, simulated: false},
      ...{memoryUsedMiB: 18_432, memoryMiB: 24_576, temperatureC: 61, powerW: 301.4},
    })),
    ...rest,
  }
}

function instance(name: string, node: string, gpus: number[], rest: Partial<Instance> = {}): Instance {
  return {
    ...{id: `i-${name}`, name, node, nodeId: `id-${node}`, owner: 'ada', image: 'nvidia/cuda:12', status: 'running'},
    ...{createdAt: '2026-11-21T16:01:05.000Z', gpus: gpus.map(index => ({index}))},
    ...rest,
  } as Instance
}

function waiting(name: string, position: number, reason = ''): Claim {
  return {
    ...{id: `c-${name}`, name, owner: 'bob', createdAt: '2026-11-21T16:30:05.000Z', instanceId: `i-${name}`},
    spec: {image: 'x', gpus: {count: 8, model: 'H100'}},
    status: {position, reason},
  } as Claim
}

const small = snapshotOf(at, [reading('gpu-02', [99, 3, null, 50]), reading('gpu-01', [], {status: 'stale'})], {
  nodes: [{id: 'id-gpu-02', schedulable: false}],
  instances: [instance('train', 'gpu-02', [0, 3]), instance('big', 'gpu-02', [], {status: 'creating'})],
  waiting: [waiting('big', 2, 'Unschedulable: no node has 8 GPUs of model H100'), waiting('first', 1)],
})

async function draw(snapshot: FleetSnapshot, view: View, columns: number, rows: number): Promise<string> {
  const paint = await loadPaint(false)
  const canvas = {columns, rows, paint, widthOf: stringWidth, server: 'http://127.0.0.1:8888'}
  const lines = drawFleet(snapshot, view, canvas)
  expect(lines).toHaveLength(rows)
  for (const line of lines) expect(stringWidth(line), line).toBeLessThanOrEqual(columns)
  return `\n${lines.map(line => line.trimEnd()).join('\n')}\n`
}

function typed(keys: string[], snapshot = small): ReturnType<typeof press> {
  let state: ReturnType<typeof press> = {view: firstView}
  for (const key of keys) state = press(state.view, key, snapshot)
  return state
}

describe('the screen of top', () => {
  test('of 80 columns has the panes one below the other', async () => {
    expect(await draw(small, firstView, 80, 24)).toMatchInlineSnapshot(`
      "
      gpuctl top  16:31:05Z  nodes 1 of 2 online  http://127.0.0.1:8888
      GPUs 2 of 4 held, 51% busy  1 running  2 waiting
      ▸ NODES                     STATUS     CPU   MEM  DISK    HELD  GPU LOAD
      > gpu-01                    stale      13%   40%   71%     0/0
        gpu-02                    cordoned   13%   40%   71%     2/4  █▁·▅
        GPU  MODEL               LOAD         MEMORY    TEMP   POWER  HELD BY
        gpu-01 has no GPUs.
        INSTANCES            STATUS    NODE          GPU NO    LOAD  OWNER         AGE
        train                running   gpu-02        0,3        75%  ada        30 min
           #  QUEUE          GPUS          PRIO  OWNER     WHY                     AGE
           1  first          8 × H100         0  bob                              60 s
           2  big            8 × H100         0  bob       no node has 8 GPU…     60 s











      Tab pane  ↑↓ row  l logs  s ssh  k stop  d drain  / filter  ? help  q quit
      "
    `)
  })

  test('of 200 columns has them two by two', async () => {
    expect(await draw(small, typed(['down']).view, 200, 16)).toMatchInlineSnapshot(`
      "
      gpuctl top  16:31:05Z  nodes 1 of 2 online  http://127.0.0.1:8888
      GPUs 2 of 4 held, 51% busy  1 running  2 waiting
      ▸ NODES                                STATUS     CPU   MEM  DISK    LOAD    HELD  GPU LOAD            GPU  MODEL                         LOAD         MEMORY    TEMP   POWER  HELD BY
        gpu-01                               stale      13%   40%   71%     3.3     0/0                        0  RTX 4090                       99%     18G of 24G   61 °C   301 W  train
      > gpu-02                               cordoned   13%   40%   71%     3.3     2/4  █▁·▅                  1  RTX 4090                        3%     18G of 24G   61 °C   301 W
                                                                                                               2  RTX 4090                               18G of 24G   61 °C   301 W
                                                                                                               3  RTX 4090                       50%     18G of 24G   61 °C   301 W  train
        INSTANCES           STATUS    NODE         GPU NO    LOAD  OWNER     IMAGE                    AGE       #  QUEUE                 GPUS          PRIO  OWNER     WHY                                 AGE
        train               running   gpu-02       0,3        75%  ada       nvidia/cuda:12        30 min       1  first                 8 × H100         0  bob                                          60 s
                                                                                                                2  big                   8 × H100         0  bob       no node has 8 GPUs of model H…     60 s





      Tab pane  ↑↓ row  l logs  s ssh  k stop  d drain  / filter  ? help  q quit
      "
    `)
  })

  test('of 40 columns and 10 rows shows the pane with the focus', async () => {
    expect(await draw(small, typed(['tab', 'tab']).view, 40, 10)).toMatchInlineSnapshot(`
      "
      gpuctl top  16:31:05Z  nodes 1 of 2 onl…
      GPUs 2 of 4 held, 51% busy  1 running  …
      ▸ INSTANCES  STATUS    NODE          AGE
      > train      running   gpu-02     30 min





      Tab pane  ↑↓ row  l logs  s ssh  k stop…
      "
    `)
  })

  test('keeps the chosen row in sight among a thousand, and never grows', async () => {
    const nodes = Array.from({length: 1000}, (_, index) =>
      reading(`n-${String(index).padStart(4, '0')}`, [index % 100]),
    )
    const many = snapshotOf(at, nodes, {nodes: [], instances: [], waiting: []})
    for (const keys of [['end'], ['page-down', 'page-down'], ['G', 'up', 'up']]) {
      const {view} = typed(keys, many)
      const screen = await draw(many, view, 100, 30)
      expect(screen).toContain(`> ${view.selected.nodes?.replace('id-', '')}`)
    }
    expect(typed(['end', 'up'], many).view.selected.nodes).toBe('id-n-0998')
  })

  test('shows names from elsewhere without their control bytes (T27), wide letters included', async () => {
    const nasty = snapshotOf(at, [reading('\x1b]0;x\x07\u202eevil', [1]), reading('训练机器训练机器', [2])], {
      ...{nodes: [], waiting: []},
      instances: [instance('a\x1b[2Jb\x9b31m', 'gpu-1', [])],
    })
    const screen = await draw(nasty, typed(['/', ...'e'], nasty).view, 80, 24)
    expect(screen.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202a-\u202e]/)
    expect(await draw(nasty, firstView, 78, 24)).toContain('训练机器训练机器')
  })

  test('says so while no reading comes', async () => {
    const paint = await loadPaint(false)
    const canvas = {columns: 80, rows: 24, paint, widthOf: stringWidth, server: '', silentSeconds: 7}
    expect(drawFleet(small, firstView, canvas)[0]).toContain('NO READINGS FOR 7 s')
  })
})

describe('the keys of top', () => {
  test('are read from what terminals send', () => {
    expect(readKeys('\x1b[A\x1bOBj\t\x1b[Z\x1b[5~é\x03')).toEqual([
      'up',
      'down',
      'j',
      'tab',
      'shift-tab',
      'page-up',
      'é',
      'ctrl-c',
    ])
    expect(readKeys('\x1b')).toEqual(['escape'])
    expect(readKeys('\x1b[1;5C\x1b[200~\x00')).toEqual([])
  })

  test('stop asks first, and only y is a yes', () => {
    const asked = typed(['tab', 'tab', 'k'])
    expect(asked).toMatchObject({view: {question: {text: 'Stop train on gpu-02? It keeps its GPUs.'}}})
    expect(asked.act).toBeUndefined()
    expect(press(asked.view, 'y', small).act).toEqual({do: 'stop', id: 'i-train', name: 'train'})
    expect(press(asked.view, 'enter', small)).toEqual({
      view: {...typed(['tab', 'tab']).view, message: 'Nothing was done.'},
    })
  })

  test('drain names what runs there, and a waiting claim is cancelled', () => {
    expect(typed(['down', 'd']).view.question).toMatchObject({
      text: 'Drain gpu-02: no new work, and train may finish or go elsewhere?',
      act: {do: 'drain', id: 'id-gpu-02', name: 'gpu-02'},
    })
    expect(typed(['shift-tab', 'k', 'y']).act).toEqual({do: 'cancel', id: 'c-first', name: 'first'})
  })

  test('logs and ssh go to the instance of the row, and of a GPU to who holds it', () => {
    expect(typed(['tab', 'tab', 'l']).act).toEqual({do: 'logs', instance: 'i-train'})
    expect(typed(['down', 'tab', 's']).act).toEqual({do: 'ssh', instance: 'i-train'})
    expect(typed(['l'])).toEqual({view: {...firstView, message: expect.stringContaining('Choose an instance')}})
  })

  test('a filter is typed, kept with Enter, taken away with Escape', () => {
    const kept = typed(['/', ...'trx', 'backspace', 'enter']).view
    expect(kept).toMatchObject({filter: 'tr'})
    expect(kept.typing).toBeUndefined()
    expect(press(kept, 'escape', small).view.filter).toBe('')
    expect(press(typed(['/', 'q']).view, 'ctrl-c', small).act).toEqual({do: 'quit', interrupted: true})
    expect(typed(['q']).act).toEqual({do: 'quit', interrupted: false})
  })
})

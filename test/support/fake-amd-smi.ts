import {mkdirSync, rmSync, writeFileSync} from 'node:fs'
import {temporaryDirectory} from './temporary-directory.ts'

const serials = ['0x79CCD55167A2124A', '0x04EDFB117A17A07D']
const buses = ['0000:83:00.0', '0000:A3:00.0']

/** Two cards as `amd-smi static --json` describes them; MB is 2^20 bytes. */
export const amdStatic = serials.map((serial, gpu) => ({
  gpu,
  asic: {market_name: 'AMD Instinct MI300X', vendor_id: '0x1002', asic_serial: serial},
  bus: {bdf: buses[gpu]!.toLowerCase(), max_pcie_width: 16},
  driver: {name: 'amdgpu', version: '6.10.5'},
  vram: {type: 'HBM3', size: {value: 196592, unit: 'MB'}},
}))

/** The same two as `amd-smi metric --json` measures them; the second one tells little. */
export const amdMetric = [
  {
    gpu: 0,
    usage: {gfx_activity: {value: 37, unit: '%'}, umc_activity: {value: 4, unit: '%'}},
    power: {socket_power: {value: 239, unit: 'W'}, gfx_voltage: 'N/A'},
    temperature: {edge: 'N/A', hotspot: {value: 46, unit: 'C'}, mem: {value: 41, unit: 'C'}},
    mem_usage: {total_vram: {value: 196592, unit: 'MB'}, used_vram: {value: 283, unit: 'MB'}},
  },
  {gpu: 1, usage: 'N/A', power: {socket_power: 'N/A'}, temperature: {edge: 'N/A', hotspot: 'N/A'}, mem_usage: 'N/A'},
]

/** The same cards as `rocm-smi … --json` tells them: the serial number without its leading zero, some keys in lower case. */
export const rocmCards = {
  card0: {
    'Device ID': '0x74a1',
    'Unique ID': '0x79ccd55167a2124a',
    'Temperature (Sensor edge) (C)': 'N/A',
    'Temperature (Sensor junction) (C)': '46.0',
    'Average Graphics Package Power (W)': '239.0',
    'GPU use (%)': '37',
    'PCI Bus': '0000:83:00.0',
    'VRAM Total Memory (B)': '206141652992',
    'VRAM Total Used Memory (B)': '296747008',
    'Card Series': 'AMD Instinct MI300X',
  },
  card1: {
    'Device ID': '0x74a1',
    'Unique ID': '0x4edfb117a17a07d',
    'GPU use (%)': 'N/A',
    'PCI Bus': '0000:A3:00.0',
    'VRAM Total Memory (B)': '206141652992',
    'Card series': 'AMD Instinct MI300X',
  },
  system: {'Driver version': '6.10.5'},
}

export interface FakeAmdSmi {
  amdSmi: string
  rocmSmi: string
  sysDir: string
  devDir: string
  /** Answers with this from the next call on; `undefined` uninstalls the tool. */
  amdSmiSays(answers: {static: unknown; metric: unknown} | undefined): void
  rocmSmiSays(answer: unknown): void
}

/** AMD's two tools, not yet installed, and the device files of two cards; removed when the running test ends. */
export async function fakeAmdSmi(): Promise<FakeAmdSmi> {
  const folder = await temporaryDirectory('gpuctl-amd-')
  const tool = (name: string, script: string) =>
    writeFileSync(`${folder}/${name}`, `#!/bin/sh\n${script}\n`, {mode: 0o755})
  const answer = (name: string, value: unknown) => {
    writeFileSync(
      `${folder}/${name}`,
      typeof value === 'string' ? value : `WARNING: not in the render group\n${JSON.stringify(value)}`,
    )
  }
  mkdirSync(`${folder}/dev/dri`, {recursive: true})
  writeFileSync(`${folder}/dev/kfd`, '')
  buses.forEach((bus, card) => {
    mkdirSync(`${folder}/sys/bus/pci/devices/${bus.toLowerCase()}/drm/renderD${128 + card}`, {recursive: true})
    mkdirSync(`${folder}/sys/bus/pci/devices/${bus.toLowerCase()}/drm/card${card}`)
    writeFileSync(`${folder}/dev/dri/renderD${128 + card}`, '')
  })
  return {
    amdSmi: `${folder}/amd-smi`,
    rocmSmi: `${folder}/rocm-smi`,
    sysDir: `${folder}/sys`,
    devDir: `${folder}/dev`,
    amdSmiSays(answers) {
      if (!answers) return rmSync(`${folder}/amd-smi`)
      answer('static.json', answers.static)
      answer('metric.json', answers.metric)
      tool('amd-smi', `[ "$1" = version ] && echo '[]' && exit; exec cat '${folder}/'"$1.json"`)
    },
    rocmSmiSays(value) {
      answer('rocm.json', value)
      tool('rocm-smi', `exec cat '${folder}/rocm.json'`)
    },
  }
}

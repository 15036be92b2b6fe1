import {expect, test} from 'vitest'
import {parseCores, parseGiB} from '../../../src/domain/figures.ts'
import {isModel} from '../../../src/domain/placement.ts'

test.each([
  ['256GB', 256],
  ['2TB', 2048],
  [' 1.5 tib ', 1536],
  ['512', 512],
  [512, 512],
  ['2048MB', 2],
  ['500 gb', 500],
  ['', null],
  ['plenty', null],
  ['12 parsecs', null],
  ['-5GB', null],
])('W3.4: the size %j is %j GiB', (figure, gib) => {
  expect(parseGiB(figure)).toBe(gib)
})

test.each([
  ['Intel Xeon Gold 6248', null],
  ['Intel Xeon Gold 6248 2.5GHz', null],
  ['AMD EPYC 7763', null],
  ['32', 32],
  [64, 64],
  ['32 cores', 32],
  ['16核', 16],
  ['8 vCPUs', 8],
  ['', null],
])('W3.4 W6.5-11: the processor %j is %j cores, and never 6248', (figure, cores) => {
  expect(parseCores(figure)).toBe(cores)
})

test.each([
  ['NVIDIA GeForce RTX 4090', 'RTX 4090', true],
  ['NVIDIA RTX 4090', 'NVIDIA RTX 4090', true],
  ['rtx4090', 'RTX 4090', true],
  ['NVIDIA GeForce RTX 4090 D', 'RTX 4090', false],
  ['NVIDIA GeForce RTX 3080 Ti', 'RTX 3080', false],
  ['NVIDIA A1000', 'A100', false],
])('W3.4: is %j the model %j? %j', (model, name, isIt) => {
  expect(isModel(model, name)).toBe(isIt)
})

import {appendFileSync} from 'node:fs'
import {startTests, type Task, type Test, type VitestRunner} from '@vitest/runner'

/** How a test ended, one line of the file of results. */
export interface GuestResult {
  name: string
  ms: number
  /** Why it failed; null when it passed or was skipped. */
  error: string | null
  /** Why it was skipped; null when it was not. */
  skipped: string | null
}

// node main.js RESULTS PATTERN FILE...: runs the tests of these files whose names fit, and notes each as it ends.

const [results = '', pattern = '', ...files] = process.argv.slice(2)

const runner: VitestRunner = {
  config: {
    ...{root: import.meta.dirname, name: undefined, setupFiles: [], passWithNoTests: false, allowOnly: false},
    ...{testNamePattern: new RegExp(pattern), testTimeout: 300_000, hookTimeout: 300_000, retry: 0, maxConcurrency: 1},
    ...{chaiConfig: undefined, includeTaskLocation: false, tags: [], tagsFilter: undefined, strictTags: false},
    sequence: {seed: 0, hooks: 'stack', setupFiles: 'list'},
  },
  importFile: path => import(path),
  onAfterRunTask: noteTest,
  onAfterRunFiles: all => all.forEach(noteRest),
}

await startTests(files, runner)

function noteTest({fullTestName: name, result}: Test): void {
  const error = result?.state === 'fail' ? inWords(result.errors ?? []) : null
  add({name, ms: Math.round(result?.duration ?? 0), error, skipped: null})
}

/** What was not noted as a test that ended: what was skipped, a file that could not be loaded, a hook that failed. */
function noteRest(task: Task): void {
  const {errors = [], state} = task.result ?? {}
  if (task.type !== 'test') {
    if (errors.length > 0) add({name: task.fullName, ms: 0, error: inWords(errors), skipped: null})
    for (const one of task.tasks) noteRest(one)
  } else if (state === 'skip') {
    const {note} = task.result as {note?: string}
    add({name: task.fullTestName, ms: 0, error: null, skipped: note ?? 'did not run'})
  }
}

function add(result: GuestResult): void {
  appendFileSync(results, `${JSON.stringify(result)}\n`)
  const {name, ms, error, skipped} = result
  const how = error !== null ? 'FAILED' : skipped !== null ? 'skipped' : 'ok'
  console.log(`${how} ${(ms / 1000).toFixed(1)} s ${name}`)
}

function inWords(errors: readonly {message?: string; stack?: string; diff?: string}[]): string {
  return errors.map(({message, stack, diff}) => [message, stack, diff].filter(Boolean).join('\n')).join('\n')
}

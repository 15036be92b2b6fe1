import {writeFileSync} from 'node:fs'
import type {Reporter, TestCase, TestModule, TestRunEndReason} from 'vitest/node'

/** The only skips that are allowed where CI=true: no test machine has a GPU. */
const allowedSkip = /^needs a GPU/

/**
 * Ends the run's output with every test that needed a second try and why, every skip and its reason, and one line `N passed, N failed, N skipped`.
 *
 * With CI=true a skip fails the run. A module that could not be loaded counts as one failure, and so does an error
 * outside of a test.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], reason: TestRunEndReason): void {
    const skips: {name: string; reason: string}[] = []
    const unsteady: string[] = []
    const count = {passed: 0, failed: errors.length, skipped: 0}
    for (const module of modules) {
      const brokenModule = module.errors().length > 0
      if (brokenModule) count.failed++
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) count.failed++
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (test.diagnostic()?.flaky) unsteady.push(describeUnsteady(module, test))
        if (result.state === 'passed') count.passed++
        else if (result.state === 'failed') count.failed++
        else {
          count.skipped++
          const note = result.state === 'skipped' ? result.note : 'did not run'
          skips.push({name: `${module.relativeModuleId} > ${test.fullName}`, reason: note ?? 'no reason given'})
        }
      }
    }
    const refused = process.env.CI === 'true' ? skips.filter(skip => !allowedSkip.test(skip.reason)) : []
    for (const line of unsteady) console.log(line)
    this.#print(skips, refused.length, count)
    if (refused.length > 0 || count.failed > 0 || reason === 'failed') process.exitCode = 1
    if (process.env.GPUCTL_TEST_COUNT_FILE) {
      writeFileSync(process.env.GPUCTL_TEST_COUNT_FILE, JSON.stringify({...count, refusedSkips: refused.length}))
    }
  }

  #print(
    skips: readonly {name: string; reason: string}[],
    refused: number,
    {passed, failed, skipped}: {passed: number; failed: number; skipped: number},
  ): void {
    for (const {name, reason} of skips) console.log(`SKIPPED ${name}: ${reason}`)
    if (refused > 0) console.log(`${refused} skipped where CI=true, which counts as a failure of the run.`)
    if (!process.env.GPUCTL_TEST_COUNT_FILE) console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  }
}

function describeUnsteady(module: TestModule, test: TestCase): string {
  const why = test.result().errors?.[0]?.message.split('\n')[0] ?? 'no error was kept'
  return `PASSED AT THE SECOND TRY ${module.relativeModuleId} > ${test.fullName}: ${why}`
}

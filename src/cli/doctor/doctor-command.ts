import {Flags} from '@oclif/core'
import type {Diagnosis, Finding} from '../../contract/finding.ts'
import {BaseCommand} from '../base-command.ts'
import {exitCode} from '../exit-codes.ts'
import {isMachine} from '../global-flags.ts'
import type {Column} from '../output/column.ts'
import {write} from '../output/machine.ts'
import {loadPaint} from '../output/paint.ts'
import {safe} from '../output/safe.ts'
import {isTerminal, wantsColour} from '../terminal.ts'

export const fixFlag = {fix: Flags.boolean({description: 'mend what can be mended without losing anything'})}

const columns: Column<Finding>[] = [
  {name: 'level', value: ({level}) => level},
  {name: 'check', value: ({check}) => check},
  {name: 'message', value: ({message}) => message},
  {name: 'fix', value: ({fix}) => fix},
]

/** A command that looks at many things and says of each whether it is well; ends with 1 where one is not. */
export abstract class DoctorCommand extends BaseCommand {
  protected async report(diagnoses: readonly Diagnosis[], {fix}: {fix?: boolean}): Promise<Finding[]> {
    const findings: Finding[] = []
    for (const {repair, ...finding} of diagnoses) {
      findings.push(fix && repair && finding.level !== 'ok' ? await mended(finding, repair) : finding)
    }
    if (findings.some(({level}) => level === 'error')) process.exitCode = exitCode.failure
    const {format, quiet} = this.mode
    if (quiet || isMachine(format) || format !== undefined || !isTerminal(process.stdout)) {
      return this.list(findings, columns, '')
    }
    const paint = await loadPaint(wantsColour(process.stdout, this.mode.colour))
    const colours = {ok: paint.good, warn: paint.waiting, error: paint.bad}
    const lines: string[] = []
    for (const {level, check, message, fix: what} of findings) {
      lines.push(`${colours[level](level.padEnd(5))}  ${safe(`${check}: ${message}`)}`)
      if (what) lines.push(`       ${safe(what)}`)
    }
    await write(process.stdout, `${lines.join('\n')}\n`)
    return findings
  }
}

async function mended(finding: Finding, repair: () => Promise<unknown>): Promise<Finding> {
  try {
    await repair()
    return {...finding, level: 'ok', message: `${finding.message} Mended.`, fix: ''}
  } catch (error) {
    return {...finding, message: `${finding.message} It could not be mended: ${(error as Error).message}`}
  }
}

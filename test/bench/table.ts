import type {Measurement} from './row.ts'

const words = {met: 'met', missed: 'MISSED', unmeasured: 'not measured', 'no budget': '(quick)'}

/** The results for people, one block a line of the table: some of the texts are long. */
export function printMeasurement(row: string, one: Measurement): void {
  const ratio = one.ratio === undefined ? '' : `   ratio ${one.ratio.toFixed(2)}`
  console.log(`${row}: ${one.what}`)
  console.log(`  baseline  ${one.baseline}`)
  console.log(`  ours      ${one.ours}${ratio}`)
  console.log(`  budget    ${one.budget}   ${words[one.verdict]}`)
  if (one.remark) console.log(`  remark    ${one.remark}`)
  console.log('')
}

/** The same as the table of docs/benchmarks.md. */
export function markdownTable(results: readonly {row: string; measurement: Measurement}[]): string {
  const lines = results.map(({row, measurement: {what, baseline, ours, ratio, budget, verdict, remark}}) => {
    const cells = [
      row,
      what,
      baseline,
      ours,
      ratio?.toFixed(2) ?? '–',
      budget,
      words[verdict] + (remark ? `. ${remark}` : ''),
    ]
    return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  })
  return [
    '| row | what | baseline | ours | ratio | budget | verdict |',
    '|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

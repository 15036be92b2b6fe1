// `npm run bench [-- ROW… --quick]`: the rows of docs/benchmarks.md, each with its baseline from the same run.
import {runCompiled} from '../test/bench/run-compiled.mjs'

await runCompiled('bench', process.argv.slice(2))

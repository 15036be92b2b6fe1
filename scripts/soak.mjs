// `npm run soak [-- kills=200]`: crashes and stops under load, and a look at what is left; see docs/reliability.md.
import {runCompiled} from '../test/bench/run-compiled.mjs'

await runCompiled('soak', process.argv.slice(2))

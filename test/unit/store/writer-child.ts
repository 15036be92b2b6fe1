import {openStore} from '../../../src/store/open.ts'
import {newClaim} from './records.ts'

/**
 * A process that writes claims into the file given as its argument and prints each id once it is acknowledged, until it
 * is killed. Ends with 70 where the store says that it must end.
 */
const store = await openStore({
  at: process.argv[2]!,
  onFatal: error => {
    process.stderr.write(`fatal: ${error}\n`, () => process.exit(70))
  },
})
process.stdout.write('open\n')

async function write(): Promise<void> {
  for (;;) {
    const claim = newClaim()
    try {
      await store.transaction(tx => tx.claims.insert(claim))
      process.stdout.write(`${claim.id}\n`)
    } catch (error) {
      // Refused, so it may be gone; told apart from what was acknowledged.
      process.stderr.write(`refused: ${error}\n`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}
await Promise.all(Array.from({length: 8}, write))

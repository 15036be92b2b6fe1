/** Of programs, as they stand in package.json. */
export const versionPattern = /^\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z.-]{1,48})?$/

/** By numbers; a version with something behind a hyphen comes before the one without. What is no version is never newer. */
export function isNewer(version: string, than: string): boolean {
  if (!versionPattern.test(version) || !versionPattern.test(than)) return false
  const [one, other] = [version, than].map(text => {
    const [numbers = '', ...rest] = text.split('-')
    return {numbers: numbers.split('.').map(Number), rest: rest.join('-')}
  })
  if (!one || !other) return false
  const at = one.numbers.findIndex((part, index) => part !== other.numbers[index])
  if (at >= 0) return (one.numbers[at] ?? 0) > (other.numbers[at] ?? 0)
  if (one.rest === '' || other.rest === '') return one.rest === '' && other.rest !== ''
  return one.rest.localeCompare(other.rest, 'en', {numeric: true}) > 0
}

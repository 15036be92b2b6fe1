/** Draws digits as an SVG of 240 × 80 with lines across them. The library is loaded when the first picture is asked for. */
export class SvgPainter {
  async draw(digits: string): Promise<string> {
    const {default: drawing} = await import('svg-captcha')
    const svg = (drawing as unknown as (text: string, options: object) => string)(digits, {
      ...{width: 240, height: 80, noise: 4, color: true, background: '#f4f4f4'},
    })
    return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`
  }
}

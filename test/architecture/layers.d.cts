export declare const layers: Record<string, string[]>
export declare const rules: {name: string; severity: 'error'; from: object; to: object}[]
export declare const loads: {name: string; from: string; forbidden: string; dynamicToo?: boolean}[]

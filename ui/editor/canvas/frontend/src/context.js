/** What cards and lines get from the canvas they stand on. */
export const CANVAS = Symbol("treadle canvas");

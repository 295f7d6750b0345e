export { TreadleCanvas as default } from "treadle-canvas";

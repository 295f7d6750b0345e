import "@vue-flow/core/dist/style.css";
import "./inter.css";
import "./theme.css";
import "./canvas.css";
import "./card.css";
import "./edges.css";

export { default as TreadleCanvas } from "./TreadleCanvas.vue";

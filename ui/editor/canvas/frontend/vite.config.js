import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// What the bundle is made of wants its licences to travel along.
const FONT = "@fontsource-variable/inter";

function licences() {
  return {
    name: "licences",
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((chunk) => Object.keys(chunk.modules ?? {}));
      const names = modules.map((id) => id.replaceAll("\\", "/").match(/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/)?.[1]);
      const source = [...new Set([...names.filter(Boolean), FONT])].sort().map(licenceOf).join("\n");
      this.emitFile({ type: "asset", fileName: "licences.txt", source });
    },
  };
}

function licenceOf(name) {
  const folder = join(import.meta.dirname, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = existsSync(folder) && readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(join(folder, file), "utf8") : ""}\n`;
}

// One ES module beside the Python element. `vue` stays outside: NiceGUI's import map brings the page's own Vue,
// and two of them in one page do not see each other's components.
export default defineConfig({
  plugins: [vue(), licences()],
  define: { "process.env.NODE_ENV": '"production"' }, // library mode leaves it in, and Vue Flow reads it
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    cssCodeSplit: false,
    lib: { entry: "src/index.js", formats: ["es"], fileName: () => "index.js", cssFileName: "index" },
    rollupOptions: { external: ["vue"] },
  },
});

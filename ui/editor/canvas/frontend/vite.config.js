import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// One ES module beside the Python element. `vue` stays outside: NiceGUI's import map brings the page's own Vue,
// and two of them in one page do not see each other's components.
export default defineConfig({
  plugins: [vue()],
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

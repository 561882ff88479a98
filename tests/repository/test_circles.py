"""No module imports itself, by whatever way round."""

import grimp


def test_imports_go_in_no_circle():
    graph = grimp.build_graph("vae_pipeline")
    left = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while ends := [module for module, imported in left.items() if not imported]:
        for module in ends:
            del left[module]
        for imported in left.values():
            imported.difference_update(ends)
    assert sorted(left) == []

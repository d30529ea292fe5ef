// swift-tools-version: 5.9
import PackageDescription

// What the app computes, without its screens: `swift test` runs the tests on a Mac.
let package = Package(
    name: "MoceirEdgeCore",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "MoceirEdgeCore", targets: ["MoceirEdgeCore"])],
    targets: [
        .target(name: "MoceirEdgeCore"),
        .testTarget(
            name: "MoceirEdgeCoreTests",
            dependencies: ["MoceirEdgeCore"],
            resources: [.copy("vectors.json")]
        ),
    ]
)

import ArgumentParser
import Shared

/// `producer start`: what the roles of this process say, for images of which one serves, one sets up and one maintains.
struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Does what roles in the configuration say: setup, then serving, with the procedure or without.",
        discussion: """
            All roles are on unless the configuration, or a variable that it names, says otherwise. Without the role server it \
            only runs the procedure when that is due; without both it ends after setup. The exit code is 2 when setup fails.
            """
    )

    func run() async throws {
        try await reportingErrors {
            let services = try Services(environment: .process(), label: "ebb.start")
            let roles = try services.roles()
            if roles.setup { try await Setup.perform(services) }
            guard roles.server || roles.maintenance else {
                return print("Both server and maintenance are disabled. Exiting...")
            }
            try await Serving(services: services, roles: roles).run()
        }
    }
}

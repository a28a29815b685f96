import Testing

@testable import Shared

@Suite struct StoreDefinitionTests {
    private static func store(_ fields: String) throws -> StoreDefinition {
        let file = try ConfigurationFile(name: "ebb.yaml", yaml: "stores: {blobs: {\(fields)}}")
        return try #require(try StoreParser.stores(of: file).first)
    }

    private static func resolve(_ fields: String, _ variables: [String: String]) throws -> StoreConfiguration? {
        switch try Self.store(fields).resolve(Environment(variables)) {
        case .on(let configuration): configuration
        case .off: nil
        }
    }

    private static func distr(_ variables: [String: String]) throws -> StoreSwitch {
        let catalog = try Catalog.load(presets: ["distr"], file: nil)
        return try #require(catalog.stores.first { $0.name == "registry" }).resolve(Environment(variables))
    }

    private static let variables = [
        "REGISTRY_ENABLED": "true", "REGISTRY_S3_BUCKET": "distr", "REGISTRY_S3_REGION": "eu-central-1",
        "REGISTRY_S3_ENDPOINT": "http://minio:9000/", "REGISTRY_S3_ACCESS_KEY_ID": "id",
        "REGISTRY_S3_SECRET_ACCESS_KEY": "key", "REGISTRY_S3_USE_PATH_STYLE": "true",
    ]

    @Test func `Distr's variables work unchanged`() throws {
        guard case .on(let store) = try Self.distr(Self.variables) else {
            Issue.record("it is off")
            return
        }
        #expect(
            store
                == StoreConfiguration(
                    endpoint: .init(scheme: "http", authority: "minio:9000"),
                    region: "eu-central-1",
                    bucket: "distr",
                    usesPathStyle: true,
                    credentials: .init(accessKeyID: "id", secretAccessKey: "key")
                )
        )
        #expect(store.location == "minio:9000/distr/")
    }

    @Test func `what Distr does not know has names of Ebb's own`() throws {
        let own = ["EBB_REGISTRY_S3_PREFIX": "two/", "EBB_REGISTRY_S3_SESSION_TOKEN": "token"]
        guard case .on(let store) = try Self.distr(Self.variables.merging(own) { $1 }) else {
            Issue.record("it is off")
            return
        }
        #expect(store.prefix == "two/" && store.credentials.sessionToken == "token")
    }

    /// As boto3 has it, with which AYON calls its storage.
    @Test func `a bucket at an address of its own is a part of the path`() throws {
        let access = "access_key_id: a, secret_access_key: ${S}, bucket: blobs"
        let secret = ["S": "s"]
        #expect(try Self.resolve("\(access), endpoint: http://minio:9000", secret)?.usesPathStyle == true)
        #expect(
            try Self.resolve("\(access), endpoint: http://minio:9000, path_style: 'false'", secret)?.usesPathStyle
                == false
        )
        #expect(try Self.resolve(access, secret)?.usesPathStyle == false)
        // Distr's variable is not set, which means no to Distr.
        guard case .on(let registry) = try Self.distr(Self.variables.filter { $0.key != "REGISTRY_S3_USE_PATH_STYLE" })
        else {
            Issue.record("it is off")
            return
        }
        #expect(!registry.usesPathStyle)

        let catalog = try Catalog.load(presets: ["ayon"], file: nil)
        let ayon = [
            "AYON_DEFAULT_PROJECT_STORAGE_TYPE": "s3", "AYON_DEFAULT_PROJECT_STORAGE_BUCKET_NAME": "projects",
            "S3_ENDPOINT_URL": "http://minio:9000", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        ]
        let bucket = try #require(catalog.stores.first { $0.name == "project_bucket" })
        guard case .on(let store) = try bucket.resolve(Environment(ayon)) else {
            Issue.record("it is off")
            return
        }
        #expect(store.usesPathStyle)
    }

    @Test(arguments: [
        ([:], "REGISTRY_ENABLED is not set"), (["REGISTRY_ENABLED": "false"], "REGISTRY_ENABLED is false"),
        (["REGISTRY_ENABLED": "1"], "REGISTRY_S3_BUCKET is not set"),
    ])
    func `without a registry the target is off`(_ variables: [String: String], _ reason: String) throws {
        guard case .off(let found) = try Self.distr(variables) else {
            Issue.record("it is on")
            return
        }
        #expect(found == reason)
    }

    @Test func `secrets come from files, too, and AWS's own variables serve when there are none`() throws {
        try withTemporaryFile("from file\n") { path in
            let store = try Self.resolve(
                "bucket: bb, access_key_id: id, secret_access_key: ${SECRET}",
                ["SECRET_FILE": path]
            )
            #expect(store?.credentials.secretAccessKey == "from file")
        }
        let aws = ["AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token"]
        let store = try Self.resolve("bucket: bb, access_key_id: ${ID}, secret_access_key: ${SECRET}", aws)
        #expect(store?.credentials == .init(accessKeyID: "id", secretAccessKey: "key", sessionToken: "token"))
        // Half of its own is a mistake, not a reason to use another's.
        #expect(throws: ConfigurationError.self) {
            try Self.resolve(
                "bucket: bb, access_key_id: ${ID}, secret_access_key: ${SECRET}",
                aws.merging(["ID": "x"]) { $1 }
            )
        }
    }

    @Test func `no credentials are an error that says what is read`() throws {
        let error = try #require(throws: ConfigurationError.self) { try Self.resolve("bucket: bb", [:]) }
        #expect("\(error)".contains("store blobs has no credentials") && "\(error)".contains("AWS_ACCESS_KEY_ID"))
    }

    @Test(arguments: [
        ("bucket: bb, secret_access_key: hunter2", "is a secret"), ("endpoint: http://x", "\"bucket\" is missing"),
        ("bucket: bb, session_token: hunter2", "is a secret"),
        ("bucket: bb, endpoint: ftp://x", "is no endpoint"), ("bucket: bb, endpoint: http://x/path", "is no endpoint"),
        ("bucket: bb, endpoint: \"http://u:hunter2@x\"", "is no endpoint"), ("bucket: a/b", "is no bucket's name"),
        ("bucket: bb, path_style: maybe", "neither true nor false"), ("bucket: bb, region: [x]", "is not a value"),
        ("bucket: bb, acess_key_id: x", "did you mean \"access_key_id\"?"),
    ])
    func `a mistake is refused without showing secrets`(_ fields: String, _ sentence: String) throws {
        let error = try #require(throws: ConfigurationError.self) { try Self.store(fields) }
        #expect("\(error)".contains(sentence) && !"\(error)".contains("hunter2"), "\(error)")
    }

    @Test func `a scheme's own port is none`() throws {
        let store = try Self.resolve(
            "bucket: bb, endpoint: \"https://S3.example:443\", access_key_id: a, secret_access_key: ${S}",
            ["S": "s"]
        )
        #expect(store?.location == "s3.example/bb/")
        #expect(store?.region == "us-east-1" && store?.usesPathStyle == true)
    }
}

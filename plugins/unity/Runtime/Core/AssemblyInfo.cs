using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Llia")]
[assembly: InternalsVisibleTo("Llia.Editor")]
[assembly: InternalsVisibleTo("Llia.Tests.Editor")]
[assembly: InternalsVisibleTo("Llia.Tests.Runtime")]
[assembly: InternalsVisibleTo("Llia.Tests.Golden")]
[assembly: InternalsVisibleTo("Llia.Tests.Interop")]

using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Llia.Editor")]
[assembly: InternalsVisibleTo("Llia.Tests.Runtime")]
